"""Item 16: cleaning empties the backup's tables and no others, unless told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from restore.tests.support.target import COMPANIES, user, uuid

if TYPE_CHECKING:
    from restore.tests.support.target import Target


@pytest.fixture
def filled(target: Target) -> Target:
    """Companies and users are there, and in the backup; posts and votes refer to them."""
    target.conn.execute("CREATE TABLE vote (id int, post int REFERENCES post)")
    target.write(company=COMPANIES, User=[user(n) for n in range(3)])
    target.load()
    target.conn.execute(f"INSERT INTO post (author) VALUES ('{uuid(1)}')")
    return target


def test_all_tables_that_hang_on_them_are_named(filled: Target) -> None:
    message = filled.turned_down(clean=True)
    assert message.startswith("2: --clean would orphan rows outside the backup:")
    assert 'Table "post" references "User" (1 row)' in message
    assert 'Table "vote" references "post" (empty, but PostgreSQL does not' in message
    assert "--cascade" in message
    assert filled.rows("SELECT count(*) FROM post") == [(1,)]


def test_an_empty_table_that_refers_stops_it_too_and_is_said_to(filled: Target) -> None:
    filled.conn.execute("DELETE FROM post")
    assert 'Table "post" references "User" (empty, but PostgreSQL' in filled.turned_down(clean=True)


def test_cascade_empties_what_hangs_on_them_and_says_so(filled: Target) -> None:
    report = filled.load(clean=True, cascade=True)
    assert report.complete
    assert report.warnings[0] == "--cascade emptied post (1 row)"
    assert report.warnings[1].startswith("--cascade emptied vote (empty")
    assert filled.rows("SELECT count(*) FROM post") == [(0,)]
    assert filled.rows('SELECT count(*) FROM "User"') == [(3,)]


def test_tables_that_nothing_hangs_on_keep_what_others_hold(filled: Target) -> None:
    filled.conn.execute("CREATE TABLE note (id int); INSERT INTO note VALUES (1), (2)")
    filled.conn.execute("CREATE TABLE other (id int); INSERT INTO other VALUES (1)")
    filled.write(note=[{"id": 9}])
    filled.load(clean=True, tables=frozenset({"note"}))
    assert filled.rows("SELECT id FROM note") == [(9,)]
    assert filled.rows("SELECT count(*) FROM other") == [(1,)]
    assert filled.rows('SELECT count(*) FROM "User"') == [(3,)]


def test_a_table_that_inherits_keeps_its_rows(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE above (id int); CREATE TABLE below (x int) INHERITS (above);"
        " INSERT INTO above VALUES (1); INSERT INTO below VALUES (2, 2)"
    )
    target.write(above=[{"id": 5}])
    target.load(clean=True)
    assert target.rows("SELECT id FROM above ORDER BY 1") == [(2,), (5,)]


@pytest.mark.parametrize("agreed", [True, False])
def test_who_restores_is_asked_with_the_rows_that_would_go(target: Target, *, agreed: bool) -> None:
    target.conn.execute("INSERT INTO company VALUES (77, 'there'), (78, 'too')")
    target.write(company=[{"id": 1, "name": "new"}], User=[], post=[])
    asked: list[dict[str, int]] = []

    def confirm(rows: dict[str, int]) -> bool:
        asked.append(rows)
        return agreed

    if agreed:
        target.load(confirm=confirm)
    else:
        assert "2: not empty: company;" in target.turned_down(confirm=confirm)
    assert asked == [{"company": 2}]
    assert target.rows("SELECT count(*) FROM company") == [(1 if agreed else 2,)]


def test_nobody_is_asked_where_it_could_not_be_done(filled: Target) -> None:
    assert "not empty: " in filled.turned_down(confirm=lambda _: pytest.fail("asked"))


def test_nothing_is_written_where_a_table_is_not_empty(filled: Target) -> None:
    filled.conn.execute("CREATE TABLE note (id int)")
    filled.write(note=[{"id": 1}])
    assert "2: not empty: " in filled.turned_down()
    assert filled.rows("SELECT count(*) FROM note") == [(0,)]
    assert filled.rows("SELECT to_regnamespace('restore_journal')::text") == [(None,)]
