"""A dump of Django restored beside its own ``loaddata``: the same database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from restore.tests.support import command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.tests.database_pool import DatabasePool

pytest.importorskip("django")
SCRIPT = Path(__file__).parent / "django_project" / "dump.py"
# Django gives the rows of join tables ids in no order, and sequences only to tables that it fills.
JOIN_TABLES = frozenset(
    {
        *("auth_group_permissions", "auth_user_groups", "auth_user_user_permissions"),
        *("billing_tags", "blog_author_follows", "blog_author_friends", "blog_post_tags"),
    }
)
RENAMED = (
    *("--map", "blog_invoice=billing", "--map", "blog_invoice_tags=billing_tags"),
    *("--map-column", "blog_author.home=lives_in"),
)


@pytest.fixture
def dumped(
    database_pool: DatabasePool, tmp_path: Path
) -> Iterator[tuple[Path, dict[str, list[Any]], str]]:
    """Return the folder of the dumps, what ``loaddata`` made of one, and an empty database."""
    with (
        database_pool.database() as filled,
        database_pool.database() as loaded,
        database_pool.database() as empty,
    ):
        done = subprocess.run(
            [sys.executable, SCRIPT, tmp_path, filled, loaded, empty],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        yield tmp_path, contents(loaded), empty


def contents(dsn: str) -> dict[str, list[Any]]:
    """Return the rows of each table as text; of join tables without their ids."""
    with psycopg.connect(dsn) as conn:
        tables = [
            name
            for (name,) in conn.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                " AND tablename <> 'django_migrations' ORDER BY 1"
            )
        ]
        rows = {}
        for name in tables:
            row = "to_jsonb(t) - 'id'" if name in JOIN_TABLES else "t"
            query = sql.SQL("SELECT ({})::text FROM {} AS t ORDER BY 1").format(
                sql.SQL(row), sql.Identifier("public", name)
            )
            rows[name] = [text for (text,) in conn.execute(query)]
        return rows


@pytest.mark.slow
def test_a_dump_is_restored_as_loaddata_does(
    dumped: tuple[Path, dict[str, list[Any]], str], tmp_path: Path
) -> None:
    folder, right, dsn = dumped
    assert all(right.values())  # each table has rows to compare
    for name in ("dump.json", "dump.jsonl"):
        done = command.run(
            str(folder / name), "--dsn", dsn, "--clean", "--rejects", str(tmp_path / "r"), *RENAMED
        )
        assert done.exit_code == 0, done.output + done.errors
        assert contents(dsn) == right

    for name, words in (("primary.json", ()), ("foreign.json", RENAMED)):
        done = command.run(str(folder / name), "--dsn", dsn, "--clean", *words)
        assert (done.exit_code, "--natural-" in done.errors) == (2, True), done.output + done.errors
        assert contents(dsn) == right
