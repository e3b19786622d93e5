"""Runs an engine with an injected fault; used by the self-test alone.

python -m harness.selftest.faulty [FAULT...] --dsn URL -- COMMAND...

slower=0.1        takes a tenth longer
more-memory=0.2   holds a fifth more memory than this process and the engine did
skip-row          deletes one row
unflushed         rewrites one row without waiting for the disk
hog               allocates memory until it is stopped
sleep             never ends
crash=11          kills itself by that signal
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

import psutil
import psycopg
from psycopg import sql

_MIB = 1 << 20
_LARGEST = (
    "SELECT relname, attname FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid"
    " WHERE relkind = 'r' AND attnum = 1"
    " AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
    " AND pg_table_is_visible(c.oid)"
    " AND NOT EXISTS (SELECT FROM pg_constraint WHERE confrelid = c.oid)"
    " ORDER BY pg_relation_size(c.oid) DESC LIMIT 1"
)
_DELETE_ROW = "DELETE FROM {table} WHERE ctid = (SELECT ctid FROM {table} LIMIT 1)"
_REWRITE_ROW = (
    "UPDATE {table} SET {column} = {column} WHERE ctid = (SELECT ctid FROM {table} LIMIT 1)"
)


def main(words: list[str]) -> int:
    """Run the engine, inject the fault, and return the engine's exit code."""
    split = words.index("--")
    command = words[split + 1 :]
    given = words[:split]
    dsn = given[given.index("--dsn") + 1]
    how = dict(word.partition("=")[::2] for word in given[: given.index("--dsn")])
    began = time.monotonic()
    code = subprocess.run(command, check=False).returncode  # noqa: S603 - what we were told to run
    _inject(how, dsn, time.monotonic() - began)
    return code


def _inject(how: dict[str, str], dsn: str, took_s: float) -> None:
    if "slower" in how:
        time.sleep(took_s * float(how["slower"]))
    if "more-memory" in how:
        _hold(float(how["more-memory"]))
    if "skip-row" in how:
        _change(dsn, sql.SQL(_DELETE_ROW))
    if "unflushed" in how:
        _change(dsn, sql.SQL(_REWRITE_ROW), durable=False)
    if "hog" in how:
        hoard = []
        while True:
            hoard.append(b"x" * _MIB)
    if "sleep" in how:
        time.sleep(24 * 3600)
    if "crash" in how:
        os.kill(os.getpid(), int(how["crash"]))


def _hold(share: float) -> None:
    """Grow to so much more than this process and the engine held together, and stay a moment.

    Together they held the private memory of this process, and that of the engine with its shared
    pages, which are those of this process too.
    """
    engine_bytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    own = psutil.Process().memory_full_info()
    ballast = b"x" * max(0, round((1 + share) * (own.uss + engine_bytes)) - own.rss)
    time.sleep(0.1)  # the meter looks each 10 ms
    del ballast


def _change(dsn: str, statement: sql.SQL, *, durable: bool = True) -> None:
    """Change a row of the largest table that no other refers to."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        if not durable:
            connection.execute("SET synchronous_commit = off")
        table, column = connection.execute(_LARGEST).fetchall()[0]
        names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
        connection.execute(statement.format(**names))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
