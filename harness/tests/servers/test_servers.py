"""Servers: what is announced and recorded, databases that come and go, nothing left behind."""

from __future__ import annotations

import re
from unittest.mock import Mock

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from harness.model.errors import InputError
from harness.servers import RunningServer, ServerError, open_server, settings
from harness.servers.databases import create
from harness.servers.errors import one_line

PATIENCE_S = 30.0


def databases(server: RunningServer) -> set[str]:
    with server.connect("postgres") as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


@pytest.mark.slow
def test_the_announcement_is_one_line_with_version_face_and_reason() -> None:
    said: list[str] = []
    with open_server("embedded", announce=said.append) as server:
        assert re.fullmatch(r"PostgreSQL \d+\.\d+, embedded: as asked", said[0])
    assert len(said) == 1
    assert server.record.kind == "embedded"
    assert server.record.version in said[0]


@pytest.mark.slow
def test_auto_falls_back_to_the_embedded_server_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    said: list[str] = []
    with open_server("auto", announce=said.append) as server:
        assert server.record.kind == "embedded"
        assert server.record.reason == "no Docker daemon answers"
    assert said == [f"PostgreSQL {server.record.version}, embedded: no Docker daemon answers"]


def test_docker_without_a_daemon_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(ServerError) as caught, open_server("docker", announce=print):
        pass
    expected = "no Docker daemon answers; start Docker, or choose --server embedded"
    assert str(caught.value) == expected


@pytest.mark.parametrize("choice", ["", "dcoker", "mysql://me:sesame@there/db", "host=there"])
def test_a_choice_that_makes_no_sense_is_an_input_error(choice: str) -> None:
    with (
        pytest.raises(InputError, match="auto, docker, embedded or a postgresql:// URL") as caught,
        open_server(choice, announce=print),
    ):
        pass
    assert "sesame" not in str(caught.value)


@pytest.mark.slow
def test_the_settings_for_bulk_load_are_in_force_and_recorded() -> None:
    with (
        open_server("embedded", announce=print) as server,
        server.connect("postgres") as connection,
    ):
        changed = connection.execute(
            "SELECT name, current_setting(name) FROM pg_settings WHERE source = 'command line'"
        ).fetchall()
    assert server.record.profile == "bulk"
    recorded = server.record.settings
    assert recorded["wal_level"] == "minimal"
    assert recorded["TimeZone"] == "UTC"
    assert [recorded[name] for name in ("fsync", "full_page_writes", "synchronous_commit")] == [
        "on",
        "on",
        "on",
    ]
    ours = settings.bulk_load(settings.memory_limit_bytes(), None)
    assert {name: value for name, value in changed if name in ours} == {
        name: recorded[name] for name in ours
    }


@pytest.mark.slow
def test_a_stock_server_is_postgresql_as_installed() -> None:
    """Only what no installation should change is set: durability, and how values are written."""
    with (
        open_server("embedded", announce=print, profile="stock") as server,
        server.connect("postgres") as connection,
    ):
        changed = connection.execute(
            "SELECT name FROM pg_settings WHERE source = 'command line'"
        ).fetchall()
        defaults = dict(
            connection.execute("SELECT name, current_setting(name) FROM pg_settings").fetchall()
        )
    assert server.record.profile == "stock"
    bulk = settings.bulk_load(settings.memory_limit_bytes(), None)
    assert {name for (name,) in changed} & bulk.keys() == {
        *("fsync", "full_page_writes", "synchronous_commit"),
        *("TimeZone", "DateStyle", "lc_messages"),
    }
    expected = {"wal_level": "replica", "max_wal_size": "1GB", "shared_buffers": "128MB"}
    assert {name: server.record.settings[name] for name in expected} == expected
    assert {name: defaults[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("memory_gib", "shared_buffers"), [(0.5, "128MB"), (4, "512MB"), (64, "1024MB")]
)
def test_memory_settings_follow_the_machine_within_bounds(
    memory_gib: float, shared_buffers: str
) -> None:
    chosen = settings.bulk_load(int(memory_gib * settings.GIB), 100 * settings.GIB)
    assert chosen["shared_buffers"] == shared_buffers
    assert chosen["max_wal_size"] == "16384MB"


def test_the_log_never_fills_a_small_disk() -> None:
    chosen = settings.bulk_load(8 * settings.GIB, 12 * settings.GIB)
    assert chosen["max_wal_size"] == "3072MB"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (psycopg.errors.InsufficientPrivilege("permission denied"), "give the role the right"),
        (psycopg.errors.DiskFull("No space left on device"), "free disk space"),
        (psycopg.OperationalError("server closed the connection"), "free disk space"),
    ],
)
def test_the_advice_for_a_database_that_cannot_be_created_fits(
    error: psycopg.Error, advice: str
) -> None:
    connection = Mock(spec=psycopg.Connection)
    connection.execute.side_effect = error
    with pytest.raises(ServerError, match=rf"^cannot create a database \({error}\); {advice}"):
        create(connection, "x", owned=False)


def test_a_database_is_fresh_utf8_and_dropped_while_others_are_connected(
    server: RunningServer,
) -> None:
    with server.database("CREATE TABLE t (a text); INSERT INTO t VALUES ('é%s')") as dsn:
        name = str(conninfo_to_dict(dsn)["dbname"])
        assert name.startswith("restorebench_")
        left_open = psycopg.connect(dsn)
        assert left_open.execute("SELECT a FROM t").fetchall() == [("é%s",)]
        found = left_open.execute(
            "SELECT pg_encoding_to_char(encoding), datlocprovider, datlocale"
            " FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        assert found == ("UTF8", "b", "C.UTF-8")
        assert server.record.settings["collation"] == "builtin C.UTF-8"
    assert name not in databases(server)
    left_open.close()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_database_is_dropped_when_its_user_fails(
    server: RunningServer, error: type[BaseException]
) -> None:
    before = databases(server)
    with pytest.raises(error), server.database():
        raise error
    assert databases(server) == before


def test_a_schema_that_does_not_apply_is_one_line_and_leaves_no_database(
    server: RunningServer,
) -> None:
    before = databases(server)
    with (
        pytest.raises(ServerError, match=r"schema cannot be applied .*nonsense") as caught,
        server.database("CREATE TABLE t (a nonsense)"),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert databases(server) == before


@pytest.mark.slow
def test_the_users_variables_for_postgres_do_not_steer_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("LC_ALL", "de_DE.ISO-8859-1")
    with open_server("embedded", announce=print) as server, server.database() as dsn:
        psycopg.connect(dsn).close()


def test_one_line_keeps_the_reason_and_blots_out_the_secret() -> None:
    text = 'Multiple attempts failed:\n- host: "a", connection failed: FATAL:  no sesame\n\tIs it?'
    assert one_line(RuntimeError(text), secret="sesame") == (
        'host: "a", connection failed: FATAL:  no ***'
    )
