"""Servers that cannot be restored to are refused before anything else, with exit code 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from restore import UsageError
from restore.target.connection import connect
from restore.tests.support import command
from restore.tests.support.standby import hot_standby

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from restore.tests.support.target import Target


@pytest.fixture(scope="module")
def standby() -> Iterator[str]:
    with hot_standby() as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        *([], ["--create"], ["--resume"], ["--clean", "--atomic"], ["--append"], ["--dry-run"]),
        *(["retry"], ["repair"]),
    ],
    ids=" ".join,
)
def test_a_standby(standby: str, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "company.json").write_text('[{"id": 1}]')
    (tmp_path / "rejects").mkdir()
    (tmp_path / "rejects" / "company.jsonl").write_text(
        '{"table":"company","schema":"public","ordinal":0,"offset":1,"length":9,'
        '"kind":"rejected","level":"row","message":"m","raw":"{}"}\n'
    )
    folders = {"retry": ["rejects"], "repair": []}.get(" ".join(words), ["backup"])
    paths = [str(tmp_path / folder) for folder in folders]
    done = command.run(*words, *paths, "--dsn", standby)
    assert (done.exit_code, done.output) == (2, "")
    [line] = [line for line in done.errors.splitlines() if line.startswith("restore: ")]
    assert "it is a standby (a read replica), which may only be read" in line
    assert "URL of its primary" in line


@pytest.mark.slow
def test_the_primary_of_several_hosts_is_found(standby: str, target: Target) -> None:
    """Without target_session_attrs libpq takes the first server that answers."""
    first, second = conninfo_to_dict(standby), conninfo_to_dict(target.dsn)
    if not str(second.get("host")).startswith("/"):
        pytest.skip("needs a server on a Unix socket")
    places = f"host={first['host']},{second['host']} port={first['port']},{second['port']}"
    dsn = f"{places} user=postgres dbname=postgres"
    with connect(dsn) as conn:
        assert conn.info.host == second["host"]
    with pytest.raises(UsageError, match="it is a standby"):
        connect(f"{dsn} target_session_attrs=any")


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("PostgreSQL 15.2-YB-2.25.1.0-b0 on x86_64-pc-linux-gnu, compiled by clang", "YugabyteDB"),
        ("CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu, built 2024/05/15)", "CockroachDB"),
        ("PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC, Redshift 1.0", "Amazon Redshift"),
        ("PostgreSQL 14.4 (Apache Cloudberry 1.6.0 build 1) on x86_64", "Apache Cloudberry"),
        ("CrateDB 5.7.0 (built 27ccdc9/2024-04-29T20:23:30Z)", "CrateDB"),
    ],
)
def test_a_stand_in_for_another_database(target: Target, version: str, name: str) -> None:
    """Its version() says what the other's does."""
    target.write(company=[{"id": 1, "name": "a"}])
    target.conn.execute(
        sql.SQL(
            "CREATE OR REPLACE FUNCTION pg_catalog.version() RETURNS text LANGUAGE sql STABLE AS {}"
        ).format(sql.Literal(f"SELECT '{version}'"))
    )
    said = target.restore(exit_code=2)
    assert said.startswith(f"restore: cannot restore to {name}: it speaks PostgreSQL's protocol")
    assert target.rows("SELECT * FROM company") == []


def test_a_server_that_is_too_old(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    target.write(company=[{"id": 1, "name": "a"}])
    monkeypatch.setattr("restore.target.server._OLDEST", 990_000)
    assert "13 is the oldest that is supported; upgrade" in target.restore(exit_code=2)
