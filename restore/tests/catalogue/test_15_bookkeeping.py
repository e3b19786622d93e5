"""Item 15: the tables of migration tools describe the target, which has its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from restore.tests.support.target import COMPANIES

if TYPE_CHECKING:
    from restore.tests.support.target import Target

TABLES = ["_prisma_migrations", "alembic_version", "django_migrations"]


@pytest.mark.parametrize("table", TABLES)
def test_books_that_the_target_keeps_already_are_left_alone(target: Target, table: str) -> None:
    target.conn.execute(
        f"CREATE TABLE {table} (id int PRIMARY KEY); INSERT INTO {table} VALUES (7)"
    )
    target.write(company=COMPANIES, **{table: [{"id": 1}]})
    for clean in (False, True):
        report = target.load(clean=clean)
        assert [loaded.table for loaded in report.tables] == ["company"]
        assert report.left_out == [f"{table}.json: a migration tool's own table that has rows"]
    assert target.rows(f"SELECT id FROM {table}") == [(7,)]


@pytest.mark.parametrize("table", TABLES)
def test_books_that_the_target_lacks_are_left_out(target: Target, table: str) -> None:
    target.write(company=COMPANIES, **{table: [{"id": 1}]})
    assert target.load().left_out == [
        f"{table}.json: a migration tool's own table, not in the database"
    ]


def test_empty_books_are_restored(target: Target) -> None:
    target.conn.execute("CREATE TABLE alembic_version (id int)")
    target.write(alembic_version=[{"id": 1}])
    assert target.load().left_out == []
    assert target.rows("SELECT id FROM alembic_version") == [(1,)]


def test_books_that_were_asked_for_are_tables_as_others(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE alembic_version (id int); INSERT INTO alembic_version VALUES (7)"
    )
    target.write(alembic_version=[{"id": 1}], company=COMPANIES)
    target.load(tables=frozenset({"alembic_version"}), clean=True)
    assert target.rows("SELECT id FROM alembic_version") == [(1,)]
