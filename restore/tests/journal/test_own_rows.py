"""Only what this restore wrote is ever taken out of a table, whatever else is written meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest

from restore.journal.store import Phase
from restore.report.events import Stage, TableDone
from restore.schedule import scheduler as loading
from restore.schedule.phases import Event, PhaseTracker

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.tests.support.target import Target


@pytest.mark.parametrize("phase", get_args(Phase))
@pytest.mark.parametrize("event", get_args(Event))
def test_a_table_with_rows_of_the_users_is_never_emptied(phase: Phase, event: Event) -> None:
    empties = {"interrupted", "misread", "refused"}
    assert not PhaseTracker(append=True, journaled=True).may_be_emptied
    assert not PhaseTracker(append=False, journaled=False).may_be_emptied
    state = PhaseTracker(append=True, journaled=True, phase=phase)
    assert not (state.may(event) and event in empties)
    if event in empties:
        with pytest.raises(AssertionError):
            state.after(event)


def test_a_table_goes_from_load_to_nothing() -> None:
    state = PhaseTracker(journaled=True)
    assert state.next_step == "load"
    state.take(0, last=False)
    state.take(100, last=True)
    state.end(0, holds=False)
    steps: list[str] = [state.next_step]
    state.end(100, holds=True)
    steps.append(state.next_step)
    state.phase = state.after("misread")
    state.forget_shards()
    state.take(0, last=True)
    state.end(0, holds=True)
    steps.append(state.next_step)
    events: list[Event] = ["loaded", "taken", "refused", "loaded"]
    for event in events:
        state.phase = state.after(event)
    assert not state.may("refused"), "indexes were in place: nothing is gained by another load"
    state.phase = state.after("finished")
    assert [*steps, state.next_step] == ["load", "reload", "finish", "nothing"]


@pytest.mark.parametrize("options", [[], ["--atomic"]])
def test_statistics_that_a_row_does_not_bear_cost_no_row(
    target: Target, options: list[str]
) -> None:
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, amount int);"
        "INSERT INTO t SELECT n, n FROM generate_series(1, 100) n; INSERT INTO t VALUES (1000, 0);"
        "CREATE STATISTICS s ON (100 / amount) FROM t"
    )
    target.write(t=[{"id": 5000, "amount": 7}])
    output = target.restore("--append", *options)
    assert "no statistics were gathered (division by zero)" in output
    assert target.rows("SELECT count(*), sum(amount) FROM t") == [(102, 5057)]


SHOP = """
    CREATE TABLE parent (id int PRIMARY KEY);
    CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent, note text);
    CREATE INDEX child_note ON child (note);
"""


@pytest.fixture
def shop(target: Target, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setattr(loading, "_WORTH_BYTES", 1)
    target.conn.execute(SHOP)
    target.write(parent=[{"id": n} for n in range(10)])
    return target


def write_once(target: Target, when: Callable[[Any], bool], statement: str) -> Callable[..., None]:
    """Return what watches a restore and, once, writes a row as another session does."""
    done: list[Any] = []

    def watch(event: Any) -> None:
        if not done and when(event):
            done.append(event)
            target.conn.execute(statement)

    return watch


def loaded(table: str) -> Callable[[Any], bool]:
    return lambda event: isinstance(event, TableDone) and event.report.table == table


def test_duplicates_cost_no_row_of_another_session(shop: Target) -> None:
    records = [{"id": n, "parent": 1, "note": "ours"} for n in range(50)]
    shop.write(child=[*records, {"id": 7, "parent": 2, "note": "twice"}])
    insert = "INSERT INTO child VALUES (1000, 1, 'theirs'), (1001, 2, 'theirs')"
    report = shop.load(watch=write_once(shop, loaded("child"), insert), jobs=1)
    assert report.error is None
    assert sorted(shop.rejected("child")) == [50]
    assert shop.rows("SELECT count(*) FROM child WHERE note = 'theirs'") == [(2,)]
    assert shop.rows("SELECT count(*) FROM child") == [(52,)]


# Longer than an index takes; the digits keep it from being compressed away.
LONG = "".join(str(n * 7919 % 100_003) for n in range(4_000))


def test_a_table_with_rows_of_another_session_is_not_loaded_again(shop: Target) -> None:
    shop.write(child=[{"id": n, "parent": 1, "note": "ours"} for n in range(50)])
    shop.write(child=[{"id": 1, "parent": 1, "note": LONG}, {"id": 2, "parent": 1, "note": "ours"}])
    insert = "INSERT INTO child VALUES (1000, 1, 'theirs')"
    watch = write_once(shop, lambda event: isinstance(event, TableDone), insert)
    report = shop.load(watch=watch, jobs=1)
    assert report.error is not None
    assert "rows that another session wrote meanwhile" in report.error
    assert shop.rows("SELECT note FROM child WHERE id = 1000") == [("theirs",)]
    assert shop.rows("SELECT id FROM child ORDER BY id") == [(1,), (2,), (1000,)]


def test_without_another_session_it_is_loaded_again(shop: Target) -> None:
    shop.write(child=[{"id": 1, "parent": 1, "note": LONG}, {"id": 2, "parent": 1, "note": "ours"}])
    report = shop.load(jobs=1)
    assert report.error is None
    assert sorted(shop.rejected("child")) == [0]
    assert shop.rows("SELECT id FROM child") == [(2,)]


def test_an_orphan_of_another_session_stays_and_is_named(shop: Target) -> None:
    shop.write(child=[{"id": 1, "parent": 1, "note": "a"}, {"id": 2, "parent": 77, "note": "b"}])
    insert = "INSERT INTO child VALUES (1000, 99, 'theirs')"
    watch = write_once(shop, lambda event: isinstance(event, Stage), insert)
    report = shop.load(watch=watch, jobs=1)
    assert report.error is not None
    assert "(99)" in report.error
    assert shop.rows("SELECT id FROM child ORDER BY id") == [(1,), (1000,)]
    assert sorted(shop.rejected("child")) == [1]


def test_a_row_with_a_key_of_ours_from_another_session_is_not_taken_out(shop: Target) -> None:
    shop.write(child=[{"id": 1, "parent": 1, "note": "ours"}])
    insert = "INSERT INTO child VALUES (1, 1, 'theirs')"
    watch = write_once(shop, loaded("parent"), insert)
    report = shop.load(watch=watch, jobs=1)
    assert shop.rows("SELECT count(*) FROM child WHERE note = 'theirs'") == [(1,)]
    assert report.error is not None or report.lost == 1


PUBLISHED = """
    CREATE PUBLICATION everything FOR ALL TABLES;
    CREATE TABLE p (id int PRIMARY KEY);
    CREATE TABLE t (id int, p int REFERENCES p, v text, u int UNIQUE);
"""
BABIES = [{"id": 1, "p": 1, "u": 1}, {"id": 2, "p": 500, "u": 2}, {"id": 3, "p": 1, "u": 1}]


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--atomic"], ["--atomic", "--clean"]])
def test_a_published_table_without_an_identity_is_restored(
    target: Target, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_WORTH_BYTES", 1)
    target.conn.execute(PUBLISHED)
    if "--clean" in options:
        target.conn.execute("INSERT INTO p VALUES (9); INSERT INTO t VALUES (9, 9, 'old', 9)")
    target.write(p=[{"id": n} for n in range(4)], t=BABIES)
    target.restore(*options, exit_code=3)
    assert target.rows("SELECT id FROM t") == [(1,)]
    assert sorted(target.rejected("t")) == [1, 2]
    keys = "SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype <> 'n'"
    assert sorted(target.rows(keys)) == [("t_p_fkey",), ("t_u_key",)]
    assert target.rows("SELECT relreplident FROM pg_class WHERE relname = 't'") == [("d",)]
    assert target.rows("SELECT to_regnamespace('restore_journal')::text") == [(None,)]


def test_what_is_published_and_cannot_be_updated_is_refused(target: Target) -> None:
    target.conn.execute(PUBLISHED)
    target.write(t=BABIES)
    line = target.restore("--append", "--on-conflict", "replace", exit_code=2)
    assert "does not have a replica identity and publishes updates" in line
    assert "REPLICA IDENTITY FULL" in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "options", "expected"),
    [
        ("ON DELETE TO t DO INSTEAD NOTHING", ["--atomic", "--clean"], "rule r may keep rows"),
        ("ON DELETE TO t DO ALSO NOTIFY x", ["--atomic", "--clean"], "rule r may keep rows"),
        ("ON INSERT TO t DO INSTEAD NOTHING", ["--append"], "INSERT rule r"),
        ("ON UPDATE TO t DO ALSO NOTIFY x", ["--append", "--on-conflict", "skip"], "UPDATE rule r"),
    ],
)
def test_a_rule_in_the_way_is_named_before_anything_is_written(
    target: Target, rule: str, options: list[str], expected: str
) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (9)")
    target.conn.execute(f"CREATE RULE r AS {rule}")
    target.write(t=[{"id": 1, "v": "a"}])
    assert expected in target.restore(*options, exit_code=2)
    assert target.rows("SELECT id FROM t") == [(9,)]
    merges = "--on-conflict" in options
    target.conn.execute("DROP RULE r ON t" if merges else "ALTER TABLE t DISABLE RULE r")
    target.restore(*options)


def test_orphans_of_a_table_with_a_delete_rule_are_rejected_one_by_one(target: Target) -> None:
    target.conn.execute(SHOP)
    target.conn.execute("CREATE RULE r AS ON DELETE TO child DO INSTEAD NOTHING")
    target.write(parent=[{"id": 1}])
    target.write(child=[{"id": 1, "parent": 1, "note": "a"}, {"id": 2, "parent": 9, "note": "b"}])
    target.restore(exit_code=3)
    assert target.rows("SELECT id FROM child") == [(1,)]
    assert sorted(target.refused("child")) == [1]


SELF = """
    CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES child, note text);
    CREATE RULE r AS ON DELETE TO child DO INSTEAD NOTHING;
"""


def test_a_cycle_whose_rows_cannot_be_deleted_is_refused(target: Target) -> None:
    target.conn.execute(SELF)
    target.write(child=[{"id": 1, "parent": 1, "note": "a"}])
    assert "is in a cycle" in target.restore(exit_code=2)


TRIGGER = """
    CREATE TABLE u (id int PRIMARY KEY, v text);
    CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_WHEN = 'BEFORE' AND new.v = 'skip' THEN RETURN NULL; END IF;
        IF TG_WHEN = 'AFTER' AND new.v = 'gone' THEN DELETE FROM u WHERE id = new.id; END IF;
        RETURN new;
    END $$;
    CREATE TRIGGER before_it BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION act();
    CREATE TRIGGER after_it AFTER INSERT ON u FOR EACH ROW EXECUTE FUNCTION act();
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [[], ["--append"], ["--append", "--on-conflict", "skip"], ["--atomic"]]
)
def test_what_a_trigger_keeps_out_is_not_counted_as_loaded(
    target: Target, options: list[str]
) -> None:
    target.conn.execute(TRIGGER)
    target.write(u=[{"id": 1, "v": "a"}, {"id": 2, "v": "skip"}, {"id": 3, "v": "b"}])
    target.restore("--triggers", *options, exit_code=3)
    assert target.rows("SELECT id FROM u ORDER BY id") == [(1,), (3,)]
    [reject] = target.refused("u").values()
    assert (reject["kind"], reject["ordinal"]) == ("rejected", 1)
    assert reject["message"] == "a trigger of the table kept the row out"


def test_what_a_trigger_removes_is_not_counted_as_loaded(target: Target) -> None:
    target.conn.execute(TRIGGER)
    target.write(u=[{"id": 1, "v": "a"}, {"id": 2, "v": "gone"}])
    output = target.restore("--triggers", exit_code=3)
    assert "1 row that went in cannot be found in the table" in output
    counts = target.counts()["u"]
    assert (counts["read"], counts["loaded"], counts["rejected"]) == (2, 1, 1)
