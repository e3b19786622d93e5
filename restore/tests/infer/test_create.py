"""The command: ``infer`` prints a schema, ``--create`` makes it in the target and restores."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from restore.tests.infer.folder import write
from restore.tests.infer.readback import check_same, loads
from restore.tests.support import command

if TYPE_CHECKING:
    from pathlib import Path

    from restore.tests.support.target import Target

USERS = [
    {"id": 1, "firstName": "Ann", "born": "1990-02-01", "score": 0.1, "tags": ["a", None]},
    {"id": 2, "firstName": "B\u00f6", "seen": "2024-01-31T10:00:00Z", "tags": [], "xmin": 1},
]
POSTS = [
    {"id": n, "userId": n % 2 + 1, "body": {"text": "\0" if n == 7 else "x"}} for n in range(9)
]
TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)


def tables_of(target: Target) -> set[str]:
    return {name for (name,) in target.rows(TABLES)} - {"company", "User", "post"}


def check_restored(target: Target) -> None:
    columns = {"xmin": "xmin_"}
    check_same(target.conn, "users", loads(json.dumps(USERS)), columns)
    check_same(target.conn, "posts", loads(json.dumps(POSTS)))
    keys = target.rows(
        "SELECT conrelid::regclass::text, contype::text FROM pg_constraint"
        " WHERE conrelid::regclass::text IN ('users', 'posts') AND contype <> 'n' ORDER BY 1, 2"
    )
    assert keys == [("posts", "f"), ("posts", "p"), ("users", "p")]


def test_create_makes_the_tables_and_restores(target: Target) -> None:
    write(target.backup, users=USERS, posts=POSTS, empty=[])
    output = target.restore("--create")
    assert output.splitlines()[0].startswith("All restored: 11 of 11 records")
    check_restored(target)
    assert target.rows("SELECT count(*) FROM empty") == [(0,)]


def test_texts_beside_documents_stay_texts(target: Target) -> None:
    records = [{"id": n, "v": '{"a": 1}'} for n in range(5_000)] + [{"id": 5_000, "v": {"b": 1}}]
    write(target.backup, users=records)
    target.restore("--create")
    check_same(target.conn, "users", loads(json.dumps(records)))


def test_the_script_and_a_restore_do_the_same(target: Target) -> None:
    write(target.backup, users=USERS, posts=POSTS)
    done = command.run("infer", str(target.backup), "--progress", "none")
    assert (done.exit_code, done.errors) == (0, "")
    target.conn.execute(done.output)
    assert "-- Restore with --map-column users.xmin=xmin_\n" in done.output
    target.restore("--map-column", "users.xmin=xmin_")
    check_restored(target)


def test_create_in_a_schema(target: Target) -> None:
    write(target.backup, users=USERS)
    assert 'schema "app" does not exist' in target.restore(
        "--create", "--schema", "app", exit_code=2
    )
    target.conn.execute("CREATE SCHEMA app")
    target.restore("--create", "--schema", "app")
    assert target.rows("SELECT count(*) FROM app.users") == [(2,)]
    assert tables_of(target) == set()


@pytest.mark.parametrize(
    "existing", ["TABLE users ()", 'TABLE "Users" ()', "VIEW users AS SELECT 1"]
)
def test_create_is_refused_if_a_table_exists(existing: str, target: Target) -> None:
    write(target.backup, users=USERS, posts=POSTS)
    target.conn.execute(f"CREATE {existing}")
    before = tables_of(target)
    output = target.restore("--create", "--clean", exit_code=2)
    assert "--create makes new tables, and the database has " in output
    assert tables_of(target) == before
    target.restore("--create", "--exclude", "users")
    assert target.rows("SELECT count(*) FROM posts") == [(9,)]


def test_a_name_that_something_else_has_is_refused(target: Target) -> None:
    write(target.backup, posts=POSTS, users=USERS)
    target.conn.execute("CREATE SEQUENCE users")
    output = target.restore("--create", exit_code=2)
    assert 'relation "users" already exists; nothing was created' in output
    assert tables_of(target) == set()


def test_a_table_may_have_the_name_of_anothers_key(target: Target) -> None:
    write(target.backup, users=USERS, users_pkey=[{"id": 1}], _users=[{"id": 1}])
    target.restore("--create")
    assert tables_of(target) == {"users", "users_pkey", "_users"}


def test_a_restore_that_is_refused_leaves_no_tables(target: Target) -> None:
    write(target.backup, users=USERS)
    output = target.restore("--create", "--map-column", "nothing.id=x", exit_code=2)
    assert "no table of that name is restored" in output
    assert tables_of(target) == set()


def test_an_atomic_restore_that_fails_leaves_no_tables(target: Target) -> None:
    write(target.backup, users='[{"id": 1}, {"id": x}, {"id": 3}]')
    output = target.restore("--create", "--atomic", "--on-error", "stop", exit_code=1)
    assert tables_of(target) == set()
    assert "--create" in output.partition("Nothing was written")[2]
    output = target.restore("--create", "--atomic", exit_code=3)
    assert target.rows("SELECT id FROM users ORDER BY 1") == [(1,), (3,)]
    assert "--create" not in output


def test_a_restore_that_stopped_is_resumed_into_its_tables(target: Target) -> None:
    write(target.backup, users='[{"id": 1, "xmin": 2}, {"id": x}, {"id": 3, "xmin": 4}]')
    output = target.restore("--create", "--on-error", "stop", exit_code=1)
    continued = output.partition("Then continue it:\n")[2].splitlines()[0]
    assert "--resume" in continued
    assert "--create" not in continued
    assert "--map-column users.xmin=xmin_" in continued
    assert "--json-strings keep" in continued
    words = ("--map-column", "users.xmin=xmin_", "--json-strings", "keep")
    target.restore("--resume", *words, exit_code=3)
    assert target.rows("SELECT id, xmin_ FROM users ORDER BY 1") == [(1, 2), (3, 4)]


def test_create_and_resume_together_continue(target: Target) -> None:
    write(target.backup, users='[{"id": 1, "xmin": 2}, {"id": x}, {"id": 3, "xmin": 4}]')
    target.restore("--create", "--resume", "--on-error", "stop", exit_code=1)
    target.restore("--create", "--resume", exit_code=3)
    assert target.rows("SELECT id, xmin_ FROM users ORDER BY 1") == [(1, 2), (3, 4)]


def test_a_role_without_the_right_is_told(target: Target) -> None:
    write(target.backup, users=USERS)
    with target.role():
        assert "permission denied for schema" in target.restore("--create", exit_code=2)


def test_create_and_dry_run_exclude_each_other(target: Target) -> None:
    assert "see them with `infer`" in target.restore("--create", "--dry-run", exit_code=2)


def test_out_writes_the_schema_to_a_file(tmp_path: Path) -> None:
    write(tmp_path, users=USERS, posts='[{"id": 1}, {"id": x}]')
    out = tmp_path / "schema.sql"
    done = command.run("infer", str(tmp_path), "--out", str(out), "--progress", "none")
    assert done.exit_code == 3
    assert done.output == f"2 tables in {out}\n"
    assert done.errors == "restore: 1 damaged piece is in no table of the schema\n"
    assert 'CREATE TABLE "users" (' in out.read_text(encoding="utf-8")
    again = command.run("infer", str(tmp_path), "--out", str(out), "--progress", "plain")
    assert "left out: schema.sql: no table file" in again.errors
    assert "reading users.json ...\n" in again.errors


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["infer"], "BACKUP is missing: type "),
        (["infer", "nowhere"], "no backup at nowhere"),
        (["infer", ".", "--sample", "0"], "--sample 0 is out of bounds: choose at least 1"),
        (["infer", ".", "--sample", "x"], "--sample takes a whole number, not 'x'"),
        (["infer", ".", "--out", "no/s.sql"], "cannot write the schema no/s.sql: No such file"),
        (["infer", ".", "--clean"], "there is no option --clean"),
    ],
)
def test_wrong_arguments(words: list[str], message: str) -> None:
    done = command.run(*words)
    assert done.exit_code == 2
    assert message in done.errors
    assert "Traceback" not in done.errors


def test_names_that_the_output_cannot_hold_are_not_spoilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, t=[{"größe": 1}])
    words: Any = ("infer", str(tmp_path), "--progress", "none")
    assert "größe" in command.run(*words).output
    wrapper = io.TextIOWrapper
    monkeypatch.setattr(
        "restore.tests.support.command.io.TextIOWrapper",
        lambda stream, encoding: wrapper(stream, encoding=encoding and "ascii"),
    )
    done = command.run(*words)
    assert done.exit_code == 2
    assert "give --out" in done.errors
