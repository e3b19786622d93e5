"""A backup to be and the database that it goes to, for tests of the command as users run it."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psycopg.sql
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from restore import Options, RestoreError, restore
from restore.tests.support import command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from restore import Report

SCHEMA = """
    CREATE TYPE mood AS ENUM ('calm', 'wild');
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE TABLE company (
        id int PRIMARY KEY, name text NOT NULL, owner uuid
    );
    CREATE TABLE "User" (
        id uuid PRIMARY KEY, email text UNIQUE NOT NULL, "companyId" int REFERENCES company,
        boss uuid REFERENCES "User", mood mood DEFAULT 'calm', tags text[], data jsonb,
        picture bytea, price numeric(10,2), ratio float8, active boolean, born date,
        "createdAt" timestamp(3) NOT NULL DEFAULT '2000-01-01', seen timestamptz,
        number bigint GENERATED ALWAYS AS IDENTITY, age positive
    );
    ALTER TABLE company ADD CONSTRAINT company_owner FOREIGN KEY (owner) REFERENCES "User"
        DEFERRABLE INITIALLY DEFERRED;
    COMMENT ON CONSTRAINT company_owner ON company IS 'who pays';
    CREATE TABLE post (
        id serial PRIMARY KEY, author uuid NOT NULL REFERENCES "User", body text
    );
"""

# What PL/pgSQL says to fail as on a full disk, with the server's own error and not one of RAISE.
FULL_DISK = "EXECUTE $q$ COPY (SELECT repeat('x', 1000000)) TO '/dev/full' $q$;"


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def user(number: int, /, **changes: Any) -> dict[str, Any]:
    record = {
        "id": uuid(number),
        "email": f"u{number}@example.org",
        "companyId": number % 3,
        "boss": None,
        "mood": "wild",
        "tags": ["a", 'b"c', None],
        "data": {"k": [1, {"z": None}], "é": '\\"'},
        "picture": "aGVsbG8=",
        "price": 12.5,
        "ratio": 1,
        "active": True,
        "born": "2024-01-31T00:00:00.000Z",
        "createdAt": "2024-01-01T05:00:00.123Z",
        "seen": "2024-01-01T00:00:00.000Z",
        "number": number + 1,
        "age": 1,
    }
    return {k: v for k, v in (record | changes).items() if v is not ...}


class Target:
    """A backup to be, and the database it goes to."""

    def __init__(self, folder: Path, database: Any) -> None:
        self.backup = folder / "backup"
        self.backup.mkdir()
        self.rejects = folder / "rejects"
        self.report = folder / "report.json"
        self.dsn = database.dsn
        self.conn = database.connect()
        self.conn.execute(SCHEMA)

    def write(self, **tables: list[Any]) -> None:
        for table, records in tables.items():
            (self.backup / f"{table}.json").write_text(json.dumps(records), encoding="utf-8")

    def restore(self, *arguments: str, exit_code: int | None = 0, is_alone: bool = False) -> str:
        """Run the command.

        Args:
            arguments: options beside those that every test gives.
            exit_code: None: it may or may not have rejects.
            is_alone: in a process of its own, whose peak memory is then the report's.
        """
        words = [str(self.backup), "--dsn", self.dsn, "--rejects", str(self.rejects)]
        run = command.run_alone if is_alone else command.run
        done = run(*words, "--report", str(self.report), *arguments)
        expected = {0, 3} if exit_code is None else {exit_code}
        assert done.exit_code in expected, done.output + done.errors
        assert "Traceback" not in done.errors
        return done.output + done.errors

    def repair(self, *arguments: str, exit_code: int = 0) -> list[str]:
        """Run the command that brings back what is aside, and return its lines."""
        done = command.run("repair", "--dsn", self.dsn, *arguments)
        assert done.exit_code == exit_code, done.output + done.errors
        assert "Traceback" not in done.errors
        return (done.output + done.errors).splitlines()

    def kill(self, where: str, *arguments: str) -> None:
        """Restore, and kill the process, as nothing can prevent, where it calls this function."""
        room, _, name = where.partition(".")
        script = (
            f"import os, signal, sys\n"
            f"from restore.{room} import {name.partition('.')[0]}\n"
            f"{name} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
            "from restore.cli.main import main; main(sys.argv[1:])"
        )
        words = [sys.executable, "-c", script, str(self.backup), "--dsn", self.dsn, *arguments]
        done = subprocess.run(words, check=False, capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr

    def load(self, *, watch: Any = None, confirm: Any = None, **options: Any) -> Report:
        """Restore through the library."""
        given: dict[str, Any] = {"backup": self.backup, "dsn": self.dsn, "rejects": self.rejects}
        report = restore(Options(**given | options), watch or (lambda _: None), confirm)
        for table in report.tables:
            assert table.read == table.loaded + table.duplicates + table.rejected
        return report

    def turned_down(self, **options: Any) -> str:
        """Restore through the library, and return the line that says why nothing was written."""
        with pytest.raises(RestoreError) as caught:
            self.load(**options)
        assert "\n" not in str(caught.value)
        return f"{caught.value.exit_code}: {caught.value}"

    @contextlib.contextmanager
    def role(self, attributes: str = "") -> Iterator[str]:
        """A role that restores from now on; its name, which no other test's role has."""
        name = f"role_{self.conn.info.dbname}"
        dsn, identifier = self.dsn, sql.Identifier(name)
        self.conn.execute(sql.SQL("CREATE ROLE {} LOGIN ").format(identifier) + sql.SQL(attributes))
        try:
            self.dsn = make_conninfo(dsn, user=name)
            yield name
        finally:
            self.dsn = dsn
            self.conn.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(identifier))
            self.conn.execute(sql.SQL("DROP ROLE {}").format(identifier))

    def rejected(self, table: str) -> dict[int, dict[str, Any]]:
        path = self.rejects / f"{table}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return {line["ordinal"]: line for line in map(json.loads, lines)}

    def rows(self, query: str) -> list[Any]:
        return self.conn.execute(query).fetchall()  # type: ignore[no-any-return]

    def counts(self) -> dict[str, dict[str, Any]]:
        tables = json.loads(self.report.read_bytes())["tables"]
        for table in tables:
            assert table["read"] == table["loaded"] + table["duplicates"] + table["rejected"]
        return {table["table"]: table for table in tables}

    def write_raw(self, records: Mapping[str, Iterable[str | bytes]]) -> None:
        """Write records as they are given, whole or damaged, one a line of an array."""
        for table, texts in records.items():
            lines = [text if isinstance(text, bytes) else text.encode() for text in texts]
            data = b"[\n" + b",\n".join(lines) + b"\n]\n"
            (self.backup / f"{table}.json").write_bytes(data)

    def refused(self, table: str) -> dict[int, dict[str, Any]]:
        """Return a table's rejects by ordinal, once they agree with all that can be checked.

        Each stands in the file where it says, as it says; none is there twice; and the report, the
        rejects and the table tell of the same numbers of records.
        """
        path = self.rejects / f"{table}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        rejects = [json.loads(line) for line in lines]
        data = (self.backup / f"{table}.json").read_bytes()
        for reject in rejects:
            assert reject["ordinal"] is not None, f"not found again in the file: {reject}"
            start, end = reject["offset"], reject["offset"] + reject["length"]
            assert data[start:end] == raw_of(reject), reject
            assert reject["table"] == table
            assert reject["message"]
            assert "\n" not in reject["message"]
        ordinals = [reject["ordinal"] for reject in rejects]
        assert len(set(ordinals)) == len(ordinals), "a record is in the rejects twice"
        counts = self.counts()[table]
        kinds = [reject["kind"] for reject in rejects]
        assert counts["rejected"] == kinds.count("rejected")
        assert counts["duplicates"] == kinds.count("duplicate")
        count = psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier(table))
        assert self.conn.execute(count).fetchone() == (counts["loaded"],)
        return dict(zip(ordinals, rejects, strict=True))


def raw_of(reject: dict[str, Any]) -> bytes:
    """Return the bytes of a rejected record."""
    if "raw" in reject:
        return str(reject["raw"]).encode()
    return base64.b64decode(reject["raw_base64"])


COMPANIES = [{"id": n, "name": f"c{n}", "owner": uuid(n)} for n in range(3)]
