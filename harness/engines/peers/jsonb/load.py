r"""PostgreSQL's own JSON functions: psql copies records as they are, and the server makes rows.

jq writes each record on a line of its own, which psql copies into a table of one jsonb column. In
COPY's text format a backslash is an escape; as CSV, whose quote and delimiter are bytes that no
JSON holds, a line is one value. ``jsonb_populate_record`` casts the fields, in FROM: as a target
with ``.*``, it would be called once for each column. Only base64 has to be decoded. All of it is
one script of psql, and one transaction; indexes and foreign keys stay.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from harness.engines.shared.command import Files, main
from harness.engines.shared.database import columns_of, connect, parents_first, set_sequences
from harness.engines.shared.shell import lines_command, literal, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.engines.shared.database import Connection

_PSQL = os.environ.get("PSQL", "psql")
_SCRIPT = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
BEGIN = "BEGIN;\nCREATE TEMPORARY TABLE docs (doc jsonb) ON COMMIT DROP;"
_COPY = r"\copy docs FROM PROGRAM {program} (FORMAT csv, QUOTE e'\x01', DELIMITER e'\x02')"
_INSERT = """
    INSERT INTO {table} ({columns})
    SELECT {values} FROM docs, jsonb_populate_record(NULL::{table}, doc) AS record;
"""


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Load all tables, parents first."""
    with connect(dsn) as connection:
        tables = parents_first(connection, files)
        script = [BEGIN, *load(connection, tables, files), "COMMIT;"]
    read |= run(dsn, tables, script)
    with connect(dsn) as connection:
        set_sequences(connection, tables)


def load(connection: Connection, tables: Iterable[str], files: Files) -> Iterator[str]:
    """Yield the commands that load the tables' files, and print how many rows each has."""
    for table in tables:
        columns = columns_of(connection, table)
        yield _COPY.format(program=literal(lines_command(files[table])))
        yield _INSERT.format(
            table=quoted(table),
            columns=", ".join(map(quoted, columns)),
            values=", ".join(value(name, kind) for name, kind in columns.items()),
        )
        yield r"\echo :ROW_COUNT"
        yield "TRUNCATE docs;"


def value(name: str, kind: str) -> str:
    """Return the expression for a column."""
    if kind == "bytea":
        return f"decode(doc ->> {literal(name)}, 'base64')"
    return f"record.{quoted(name)}"


def run(dsn: str, tables: list[str], script: Iterable[str]) -> dict[str, int]:
    """Run a script of psql, and return the rows of each table.

    Raises:
        RuntimeError: it failed, with the first line that psql wrote of it.
    """
    done = subprocess.run(  # noqa: S603 - no shell
        (_PSQL, *_SCRIPT, dsn),
        input="\n".join(script),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(next(iter(done.stderr.splitlines()), f"psql: {done.returncode}"))
    return dict(zip(tables, map(int, done.stdout.split()), strict=True))


if __name__ == "__main__":
    sys.exit(main(restore, "jsonb"))
