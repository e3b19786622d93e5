"""A backup from somebody who means harm: its names and values can do nothing but be data."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from restore.tests.support.target import uuid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from restore.tests.support.target import Target

NAMES = (
    *("a\"b'c", "x; DROP TABLE company; --", "..", "...", "%s%(x)s{}", "$1", "-rf", "~", "con"),
    *("new\nline\r", "\x1b[31mred\x07", "\u202egnp", "ü" * 31, "a" * 63, "$(touch owned)`id`"),
)
# No file can be named so; a key in a file can.
PATHS = ("../../escaped", "/tmp/escaped", "a/b", "..\\x", "./.", "../rejects/company")  # noqa: S108 - a name


def listing(folder: Path) -> set[str]:
    """All that is in a folder, so that what was written outside of it is seen."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def make_tables(target: Target, names: tuple[str, ...]) -> None:
    """Make tables of these names, each with a column of its own name."""
    for name in names:
        query = sql.SQL("CREATE TABLE {0} (id int PRIMARY KEY, {0} text)")
        target.conn.execute(query.format(sql.Identifier(name)))


def records(name: str) -> list[dict[str, Any]]:
    return [{"id": 1, name: name}, {"id": f"no'; {name}", name: "x"}, {"id": 2, name: None}]


def check(target: Target, names: tuple[str, ...], told: str) -> None:
    """See that all is in the tables, all rejects in their folder, and no terminal was commanded."""
    for name in names:
        query = sql.SQL("SELECT id, {0} FROM {0} ORDER BY id").format(sql.Identifier(name))
        assert target.conn.execute(query).fetchall() == [(1, name), (2, None)]
    kept = [
        json.loads(line)
        for path in target.rejects.iterdir()
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert sorted(reject["table"] for reject in kept) == sorted(names)
    assert target.rows("SELECT count(*) FROM company") == [(0,)]
    assert "\x1b" not in told
    assert "\x07" not in told
    assert "\u202e" not in told


@pytest.mark.parametrize("jobs", [1, 2])
def test_names_of_files_tables_and_fields(target: Target, tmp_path: Path, jobs: int) -> None:
    make_tables(target, NAMES)
    target.write(**{name: records(name) for name in NAMES})
    before = listing(tmp_path.parent)
    told = target.restore("--jobs", str(jobs), exit_code=3)
    check(target, NAMES, told)
    new = {name for name in listing(tmp_path.parent) - before if "/rejects" not in name}
    assert {name.rpartition("/")[2] for name in new} == {"report.json"}


def test_keys_that_are_paths(target: Target, tmp_path: Path) -> None:
    make_tables(target, PATHS)
    dump = {name: records(name) for name in PATHS}
    (target.backup / "dump.json").write_text(json.dumps(dump), encoding="utf-8")
    before = listing(tmp_path.parent)
    told = target.restore(exit_code=3)
    check(target, PATHS, told)
    new = {name for name in listing(tmp_path.parent) - before if "/rejects" not in name}
    assert {name.rpartition("/")[2] for name in new} == {"report.json"}


def test_tables_of_two_schemas_may_have_one_name(target: Target) -> None:
    target.conn.execute("CREATE SCHEMA other; CREATE TABLE other.company (id int PRIMARY KEY)")
    target.write(company=[{"id": 1}, {"id": None}, {"id": 3}], others=[{"id": 1}, {"id": "x"}])
    target.restore("--map", "others=other.company", exit_code=3)
    lines = {path.name: path.read_bytes().count(b"\n") for path in target.rejects.iterdir()}
    assert sorted(lines) == ["company.2.jsonl", "company.jsonl"]
    assert sorted(lines.values()) == [1, 3]


def test_a_key_that_no_table_can_have_is_one_line(target: Target) -> None:
    target.write(dump={"a\x00\x1b[31mb": [{"id": 1}], "c": [{"id": 2}]})  # type: ignore[arg-type] # an envelope
    [line] = target.restore(exit_code=2).splitlines()
    assert "no table in the database for" in line
    assert "\x1b" not in line
    assert "\x00" not in line


@pytest.mark.parametrize("create", [True, False], ids=["may make schemas", "may not"])
def test_an_ordinary_owner_restores_everything(target: Target, *, create: bool) -> None:
    tables = [("company", 40), ("User", 300), ("post", 500)]
    target.write(
        company=[{"id": n, "name": "c"} for n in range(40)],
        User=[
            {"id": uuid(n), "email": f"{n}@x", "companyId": n % 40, "boss": uuid(n // 2)}
            for n in range(300)
        ],
        post=[{"id": n, "author": uuid(n % 300), "body": "b" * 9} for n in range(500)],
    )
    with owner(target, create=create):
        target.restore("--jobs", "2", "--clean")
        for table, count in tables:
            assert target.rows(f'SELECT count(*) FROM "{table}"') == [(count,)]


@contextlib.contextmanager
def owner(target: Target, *, create: bool) -> Iterator[None]:
    """A role that owns the tables, and is nothing else."""
    with target.role("NOSUPERUSER NOCREATEDB NOCREATEROLE") as name:
        if create:
            database = sql.Identifier(target.conn.info.dbname)
            target.conn.execute(
                sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, sql.Identifier(name))
            )
        else:  # what is aside cannot be noted then: no cycles
            target.conn.execute("ALTER TABLE company DROP CONSTRAINT company_owner")
            target.conn.execute('ALTER TABLE "User" DROP CONSTRAINT "User_boss_fkey"')
        for table in ("company", '"User"', "post"):
            target.conn.execute(f"ALTER TABLE {table} OWNER TO {name}")
        yield


def test_links_of_a_backup(target: Target, tmp_path: Path) -> None:
    """A link is followed, as by `cp`: what it leads to is read as data, and never written."""
    outside = tmp_path / "outside.json"
    outside.write_text('[{"id": 1, "name": "n"}]', encoding="utf-8")
    (target.backup / "company.json").symlink_to(outside)
    target.restore()
    assert target.rows("SELECT id FROM company") == [(1,)]
    assert outside.read_text(encoding="utf-8") == '[{"id": 1, "name": "n"}]'
    for leads_to in ("nowhere", ".", "post.json"):
        link = target.backup / "post.json"
        link.symlink_to(leads_to)
        [line] = target.restore("--clean", exit_code=2).splitlines()
        assert "post.json" in line
        link.unlink()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_pipe_in_a_backup_is_not_waited_for(target: Target, suffix: str) -> None:
    os.mkfifo(target.backup / f"company.json{suffix}")
    [line] = target.restore(exit_code=2).splitlines()
    assert "is named as a table file, but is none" in line


def test_white_space_without_end_is_read_in_the_memory_of_a_chunk(target: Target) -> None:
    with gzip.open(target.backup / "company.json.gz", "wb", compresslevel=1) as file:
        file.write(b'[{"id":1,"name":"n"},')
        for _ in range(128):
            file.write(b" " * (1 << 20))
        file.write(b'{"id":2,"name":"n"}]')
    target.restore("--jobs", "1", is_alone=True)
    assert target.counts()["company"]["loaded"] == 2
    assert json.loads(target.report.read_bytes())["peak_bytes"] < 100 << 20
