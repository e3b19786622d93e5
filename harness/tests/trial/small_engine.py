"""A real engine of few lines, which then misbehaves as it is told; for tests of what watches it.

small_engine.py BACKUP DSN REJECTS [BEHAVIOUR[=ARGUMENT]]...
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

INSERT = "INSERT INTO {0} SELECT * FROM json_populate_record(null::{0}, %s)"
SLEEPER = "import time; time.sleep(600)"


def main(backup: str, dsn: str, rejects: str, *behaviours: str) -> None:
    """Restore, then misbehave."""
    wanted = dict(behaviour.partition("=")[::2] for behaviour in behaviours)
    lost: list[dict[str, object]] = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        if "unflushed" in wanted:
            connection.execute("SET synchronous_commit = off")
        if "restore-nothing" not in wanted:
            lost = restore(connection, Path(backup))
            keep(lost, Path(rejects), int(wanted.get("forget-rejects", 0)))
        for name, statement in wanted.items():
            if name.startswith("sql"):
                connection.execute(statement.encode())
        if "hold-lock" in wanted:  # a transaction that is still open when the process is killed
            connection.execute("BEGIN; LOCK TABLE pets")
            connection.execute("SELECT pg_sleep(600)")
    misbehave(wanted)
    sys.exit(int(wanted.get("exit", 3 if lost else 0)))


def restore(connection: psycopg.Connection[Any], backup: Path) -> list[dict[str, object]]:
    """Insert record by record; return those that the server refuses."""
    lost: list[dict[str, object]] = []
    for table in ("owners", "pets"):
        text = (backup / f"{table}.json").read_text()
        for ordinal, record in enumerate(json.loads(text)):
            try:
                connection.execute(INSERT.format(table), [json.dumps(record)])
            except psycopg.DataError as error:
                raw = json.dumps(record)
                place = {"ordinal": ordinal, "offset": text.index(raw)}
                lost.append({"table": table, **place, "message": str(error), "raw": raw})
    return lost


def keep(lost: list[dict[str, object]], rejects: Path, forget: int) -> None:
    """Write rejects as docs/interfaces.md has them, but for as many as are to be forgotten."""
    rejects.mkdir(exist_ok=True)
    for line in lost[forget:]:
        with (rejects / f"{line['table']}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


def misbehave(wanted: dict[str, str]) -> None:
    """Do what was asked for beside restoring."""
    if "list" in wanted:  # what it can see, and what lies beside that
        folder = Path(wanted["list"])
        beside = [path.name for path in folder.parent.iterdir() if path != folder]
        sys.stderr.write(
            " ".join([str(folder.parent), *sorted(path.name for path in folder.iterdir()), *beside])
        )
        sys.exit(9)
    if "report" in wanted:
        Path(wanted["report"]).write_bytes(b"\xff")
    if "append" in wanted:
        with (Path(wanted["append"]) / "pets.json").open("a") as file:
            file.write("\n")
    if "say" in wanted:
        sys.stderr.write(f"some warning\n{wanted['say']}\n\n")
    if "child" in wanted:  # one that leaves the session, and says where it is
        child = subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True)
        Path(wanted["child"]).write_text(str(child.pid))
    if "hog" in wanted:
        hoard = []
        while True:
            hoard.append(b"x" * (1 << 20))
    if "sleep" in wanted:
        time.sleep(float(wanted["sleep"]))
    if "signal" in wanted:
        os.kill(os.getpid(), int(wanted["signal"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
