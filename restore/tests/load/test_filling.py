"""Tables are filled in the transaction that empties them where that saves the log, and only there.

Whether rows came so shows in them: all came in one transaction, and their pages need no vacuum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from restore.decode import packer as native
from restore.schedule import scheduler as loading

if TYPE_CHECKING:
    from restore.tests.support.target import Target

COUNT = 3_000


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_WORTH_BYTES", 1_000)


@pytest.fixture
def things(target: Target) -> Target:
    """A table and its backup; the server writes no more log than it needs."""
    if target.rows("SHOW wal_level") != [("minimal",)]:
        pytest.skip("only a server with wal_level=minimal can do without the log")
    target.conn.execute("CREATE TABLE thing (id int PRIMARY KEY, word text NOT NULL)")
    write(target)
    return target


def write(target: Target, **changes: Any) -> None:
    records = [{"id": n, "word": f"word {n}"} for n in range(COUNT)]
    for name, change in changes.items():
        records[int(name[1:])] |= change
    target.write(thing=records)


def transactions(target: Target) -> int:
    """Return in how many transactions the rows came."""
    [(count,)] = target.rows("SELECT count(DISTINCT xmin::text) FROM thing")
    return int(count)


def load(target: Target, **options: Any) -> Any:
    [table] = target.load(chunk_bytes=16_384, **options).tables
    return table


def test_all_comes_frozen_in_one_transaction(things: Target) -> None:
    table = load(things)
    assert (table.loaded, table.levels.batch) == (COUNT, COUNT)
    assert transactions(things) == 1
    assert things.rows("SELECT count(*) FROM thing WHERE word = 'word ' || id") == [(COUNT,)]
    things.conn.execute("ANALYZE thing")
    [(visible, pages)] = things.rows(
        "SELECT relallvisible, relpages FROM pg_class WHERE relname = 'thing'"
    )
    assert 0 < visible <= pages  # none is before a vacuum, where rows are not frozen


def test_records_that_are_odd_wait_until_all_others_are_in(things: Target) -> None:
    write(things, _10={"id": "10"}, _1500={"word": None})
    table = load(things)
    assert (table.read, table.loaded, table.rejected) == (COUNT, COUNT - 1, 1)
    assert things.rejected("thing").keys() == {1500}
    assert transactions(things) == 2
    assert things.rows("SELECT word FROM thing WHERE id = 10") == [("word 10",)]


def test_where_a_key_is_in_place_an_odd_record_ends_it(things: Target) -> None:
    things.conn.execute("CREATE TABLE other (thing int REFERENCES thing)")
    write(things, _10={"id": "10"}, _1500={"id": 10})
    table = load(things)
    assert (table.loaded, table.duplicates) == (COUNT - 1, 1)
    assert things.rejected("thing").keys() == {1500}
    assert things.rows("SELECT word FROM thing WHERE id = 10") == [("word 10",)]


def test_a_text_with_the_character_nul_costs_no_more_than_itself(
    *, things: Target, in_c: bool
) -> None:
    write(things, _1500={"word": "a\0b"}, _2000={"word": "\\u0000"})
    table = load(things)
    assert (table.loaded, table.rejected) == (COUNT - 1, 1)
    assert things.rejected("thing").keys() == {1500}
    assert things.rows("SELECT word FROM thing WHERE id = 2000") == [("\\u0000",)]
    # What packs sees it; else the server says it, and the COPY is begun anew.
    assert transactions(things) == (1 if in_c and native.IS_BUILT else 2)


def test_a_record_that_is_refused_undoes_it_and_all_is_loaded_again(things: Target) -> None:
    things.conn.execute("ALTER TABLE thing ADD CHECK (id <> 2000)")
    table = load(things)
    assert (table.read, table.loaded, table.rejected) == (COUNT, COUNT - 1, 1)
    assert things.rejected("thing").keys() == {2000}
    assert transactions(things) > 1


@pytest.mark.parametrize("in_the_way", ["trigger", "referrer", "rights"])
def test_a_table_that_must_not_be_emptied_is_not(things: Target, in_the_way: str) -> None:
    if in_the_way == "trigger":
        things.conn.execute(
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'emptied'; END $$;"
            "CREATE TRIGGER no BEFORE TRUNCATE ON thing EXECUTE FUNCTION no();"
            "ALTER TABLE thing ENABLE ALWAYS TRIGGER no"
        )
        assert load(things, triggers=True).loaded == COUNT
    elif in_the_way == "referrer":
        things.conn.execute("CREATE TABLE other (thing int REFERENCES thing)")
        assert load(things).loaded == COUNT
    else:
        with things.role() as name:
            things.conn.execute(f"GRANT SELECT, INSERT ON thing TO {name}")
            assert load(things).loaded == COUNT
    assert transactions(things) > 1


def test_a_table_in_use_is_loaded_all_the_same(things: Target) -> None:
    with things.role() as name:
        things.conn.execute(f"GRANT SELECT, INSERT, TRUNCATE ON thing TO {name}")
        things.conn.execute("BEGIN; SELECT count(*) FROM thing")
        assert load(things).loaded == COUNT
        things.conn.execute("COMMIT")
    assert transactions(things) > 1


def test_rows_that_somebody_puts_in_meanwhile_stay(things: Target) -> None:
    def watch(event: Any) -> None:
        if type(event).__name__ == "BackupFound":  # nothing is loaded yet
            things.conn.execute("INSERT INTO thing VALUES (-1, 'x')")

    things.load(watch=watch)
    assert things.rows("SELECT count(*), min(id) FROM thing") == [(COUNT + 1, -1)]
