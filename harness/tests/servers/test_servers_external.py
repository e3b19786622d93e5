"""A server of the user's: used and left alone, its password shown nowhere, its errors clear."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from harness.model.errors import InputError
from harness.servers import RunningServer, ServerError, address, open_server

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 30.0

# A harness that has a database on the user's server, says which, and goes on until it is stopped.
HARNESS = """
import sys, time
from psycopg.conninfo import conninfo_to_dict
from harness.servers import open_server
with open_server(sys.argv[1], announce=lambda _: None) as server, server.database() as dsn:
    print(conninfo_to_dict(dsn)["dbname"], flush=True)
    time.sleep(600)
"""


@pytest.fixture
def role(server: RunningServer) -> Iterator[str]:
    """A role that may log in and make databases, with a password."""
    with server.connect("postgres") as connection:
        connection.execute("CREATE ROLE visitor LOGIN CREATEDB PASSWORD 'sesame/:@ %'")
        yield "visitor"
        connection.execute("DROP ROLE visitor")


@pytest.fixture
def user_url(server: RunningServer, role: str) -> str:
    """The URL of the session's server as a user would name it: his, with his password."""
    place = server.dsn("postgres").partition("@")[2]
    return f"postgresql://{role}:{quote('sesame/:@ %', safe='')}@{place}"


def databases(server: RunningServer) -> set[str]:
    with server.connect("postgres") as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


@contextlib.contextmanager
def another_harness(url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    harness = subprocess.Popen(
        [sys.executable, "-c", HARNESS, url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert harness.stdout is not None
    with harness:
        try:
            yield harness, harness.stdout.readline().strip()
        finally:
            harness.kill()


def test_a_users_server_is_used_and_left_alone(user_url: str, server: RunningServer) -> None:
    before = databases(server)
    said: list[str] = []
    with open_server(user_url, announce=said.append) as visited:
        assert visited.record.kind == "external"
        assert visited.record.profile == "as it is"
        assert visited.record.settings["wal_level"] == "minimal"
        with visited.database("CREATE TABLE t (a int)") as dsn:
            psycopg.connect(dsn, password=visited.env["PGPASSWORD"]).close()
            assert len(databases(server) - before) == 1
    assert databases(server) == before
    assert said[0].endswith("external: as named; its settings are unchanged")


def test_a_password_shows_nowhere(user_url: str) -> None:
    said: list[str] = []
    with open_server(user_url, announce=said.append) as visited, visited.database() as dsn:
        shown = [*said, dsn, visited.dsn("postgres"), repr(visited), repr(visited.record)]
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # a session that has ended
                shown += process.cmdline()
        assert visited.env == {"PGPASSWORD": "sesame/:@ %"}
    assert "sesame" not in " ".join(shown)


def test_a_harness_killed_on_a_users_server_leaves_no_database(
    user_url: str, server: RunningServer
) -> None:
    before = databases(server)
    with another_harness(user_url) as (harness, name):
        assert name in databases(server)
        harness.kill()
        deadline = time.monotonic() + PATIENCE_S
        while databases(server) != before and time.monotonic() < deadline:
            time.sleep(0.05)
    assert databases(server) == before


def test_a_role_that_may_not_create_databases_is_told_what_to_do(
    user_url: str, server: RunningServer
) -> None:
    with server.connect("postgres") as connection:
        connection.execute("ALTER ROLE visitor NOCREATEDB")
    expected = 'ALTER ROLE "visitor" CREATEDB'
    with pytest.raises(ServerError, match=expected), open_server(user_url, announce=print):
        pass


def test_a_server_that_does_not_answer_is_one_line_without_the_password() -> None:
    url = "postgresql://me:sesame@127.0.0.1:1/db"
    with pytest.raises(ServerError) as caught, open_server(url, announce=print):
        pass
    text = str(caught.value)
    assert "cannot connect to PostgreSQL at 127.0.0.1:1" in text
    assert "Connection refused" in text
    assert "sesame" not in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "url", ["postgresql://me:sesame@there:port/db", "postgresql://me:sesame@/db?no_such=1"]
)
def test_a_url_that_makes_no_sense_is_not_repeated(url: str) -> None:
    with pytest.raises(InputError) as caught, open_server(url, announce=print):
        pass
    assert "sesame" not in str(caught.value)
    assert "postgresql://user@host:port/database" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://me:sesame@there:5433/db", "postgresql://me@there:5433/new"),
        ("postgres://there", "postgresql://there/new"),
        ("postgresql:///db", "postgresql:///new"),
        ("postgresql://me@/db?host=/run/pg", "postgresql://me@/new?host=/run/pg"),
        ("postgresql://a:1,b:2/db?sslmode=require", None),
        ("postgresql://m%40e:se%2Fsame@[::1]:5433/", None),
    ],
)
def test_a_url_leads_to_the_same_place_without_its_password(url: str, expected: str | None) -> None:
    where = address.parse(url)
    rebuilt = where.url("new")
    assert expected is None or rebuilt == expected
    kept = where.parameters | {"dbname": "new"}
    assert conninfo_to_dict(rebuilt) == kept
    assert "password" not in kept
