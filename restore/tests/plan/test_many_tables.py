"""Many tables: what is done grows with their number, and no transaction locks all of them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from restore.commands import truncate as emptying
from restore.errors import LoadError
from restore.load.upsert import UpsertDestination
from restore.plan.order import cycles_of
from restore.report.events import Stage
from restore.target import locks

if TYPE_CHECKING:
    from restore.tests.support.target import Target

TABLES = 24
VALID = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"


def make(target: Target, parents: list[list[int]], *, rows: bool) -> None:
    """Make a table for each list, with a foreign key to each table that it names."""
    for number in range(len(parents)):
        target.conn.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, body text)")
        if rows:
            target.conn.execute(f"INSERT INTO t{number} VALUES (1)")
        target.write(**{f"t{number}": [{"id": 2}]})
    for number, others in enumerate(parents):
        for other in others:
            target.conn.execute(f"ALTER TABLE t{number} ADD FOREIGN KEY (id) REFERENCES t{other}")


@pytest.fixture
def few_locks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let a transaction lock a few tables alone; return how many tables each TRUNCATE named."""
    monkeypatch.setattr(emptying, "max_locks", lambda _: 16)
    monkeypatch.setattr(locks, "_MOST_TABLES", 3)
    sizes: list[int] = []
    truncate = emptying._truncate

    def counted(conn: Any, portion: Any) -> None:
        sizes.append(len(portion))
        truncate(conn, portion)

    monkeypatch.setattr(emptying, "_truncate", counted)
    return sizes


SHAPES: dict[str, list[list[int]]] = {
    "apart": [[] for _ in range(TABLES)],
    "pairs": [[n + 1] if n % 2 == 0 else [] for n in range(TABLES)],
    "star": [[]] + [[0]] * (TABLES - 1),
    "chain": [[n - 1] if n else [] for n in range(TABLES)],
    "ring": [[(n - 1) % TABLES] for n in range(TABLES)],
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_tables_are_emptied_in_portions(target: Target, few_locks: list[int], shape: str) -> None:
    parents = SHAPES[shape]
    make(target, parents, rows=True)
    seen: list[str] = []
    report = target.load(
        clean=True,
        watch=lambda event: seen.append(event.name) if isinstance(event, Stage) else None,
    )
    assert report.complete
    assert sum(few_locks) == TABLES
    assert max(few_locks) <= 4  # with its key, TOAST table and the index of that a table takes 4
    assert any(name.startswith("emptying tables") for name in seen)
    for number in range(TABLES):
        assert target.rows(f"SELECT id FROM t{number}") == [(2,)]
    # Beside those of the tables that every test has.
    assert target.rows(VALID) == [(sum(map(len, parents)) + 4,)]
    assert target.rows("SELECT to_regnamespace('restore_journal')::text") == [(None,)]


def test_partitions_are_emptied_in_portions(target: Target, few_locks: list[int]) -> None:
    target.conn.execute("CREATE TABLE whole (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    target.conn.execute("CREATE TABLE part (id int PRIMARY KEY, whole int REFERENCES whole)")
    for number in range(TABLES):
        bounds = f"FROM ({number}) TO ({number + 1})"
        target.conn.execute(f"CREATE TABLE whole_{number} PARTITION OF whole FOR VALUES {bounds}")
    target.conn.execute("INSERT INTO whole SELECT generate_series(0, 9)")
    target.conn.execute("INSERT INTO part VALUES (1, 1)")
    target.write(whole=[{"id": 3}], part=[{"id": 4, "whole": 3}])
    assert target.load(clean=True).complete
    assert max(few_locks) < TABLES
    assert target.rows("SELECT p.id, w.id FROM part p JOIN whole w ON w.id = p.whole") == [(4, 3)]


def test_a_lock_of_another_session_leaves_all_rows_and_keys(
    target: Target, few_locks: list[int]
) -> None:
    make(target, SHAPES["chain"], rows=True)
    with psycopg.connect(target.dsn) as other:
        other.execute("LOCK TABLE t10 IN ACCESS SHARE MODE")
        assert "holds t10" in target.turned_down(clean=True, lock_timeout_s=0.2)
    assert few_locks == []
    assert target.rows(VALID) == [(TABLES - 1 + 4,)]
    assert target.rows("SELECT count(*) FROM t10") == [(1,)]


@pytest.mark.slow
def test_what_stops_between_portions_leaves_keys_that_hold(
    target: Target, few_locks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(target, SHAPES["chain"], rows=True)
    truncate = emptying._truncate

    def stopped(conn: Any, portion: Any) -> None:
        if len(few_locks) == 3:
            raise LoadError("stopped")
        truncate(conn, portion)

    with monkeypatch.context() as patched:
        patched.setattr(emptying, "_truncate", stopped)
        line = target.turned_down(clean=True)
    assert line == f"1: stopped; {sum(few_locks)} of {TABLES} tables are empty by now"
    assert target.rows(VALID) == [(TABLES - 1 + 4,)]
    left = [bool(target.rows(f"SELECT FROM t{number}")) for number in range(TABLES)]
    assert left.count(False) == sum(few_locks)
    assert left == sorted(left, reverse=True)  # no child without its parent
    assert target.load(clean=True).complete


@pytest.mark.slow
def test_a_restore_killed_between_portions_is_repaired(target: Target) -> None:
    make(target, SHAPES["star"], rows=True)
    target.kill("commands.truncate.max_locks = lambda _: 16; truncate._truncate", "--clean")
    assert "foreign keys" in target.turned_down(clean=True)
    target.repair()
    assert target.rows(VALID) == [(TABLES - 1 + 4,)]
    assert target.load(clean=True).complete


def test_a_key_that_may_not_be_dropped_keeps_the_others(target: Target) -> None:
    make(target, SHAPES["chain"], rows=False)
    with target.role() as role:
        for number in range(TABLES):
            table, name = sql.Identifier(f"t{number}"), sql.Identifier(role)
            if number != TABLES - 1:
                target.conn.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(table, name))
            target.conn.execute(sql.SQL("GRANT ALL ON {} TO {}").format(table, name))
        database = sql.Identifier(target.conn.info.dbname)
        target.conn.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, sql.Identifier(role))
        )
        assert target.load().complete
        assert target.rows(VALID) == [(TABLES - 1 + 4,)]
        target.conn.execute("DROP SCHEMA IF EXISTS restore_journal CASCADE")
        for number in range(TABLES):
            table = sql.Identifier(f"t{number}")
            target.conn.execute(sql.SQL("ALTER TABLE {} OWNER TO CURRENT_USER").format(table))


def statements(target: Target, monkeypatch: pytest.MonkeyPatch, tables: int) -> int:
    """Restore so many tables, each with an orphan; return how many statements that took."""
    names = [f"o{tables}_{number}" for number in range(tables)]
    for parent, name in zip([names[0], *names], names, strict=False):
        target.conn.execute(
            f"CREATE TABLE {name} (id int PRIMARY KEY, other int REFERENCES {parent})"
        )
    folder = target.backup
    for path in folder.iterdir():
        path.unlink()
    target.write(**{name: [{"id": 1, "other": 2}] for name in names})
    count = itertools.count()
    execute = psycopg.Cursor.execute

    def counted(self: Any, *given: Any, **named: Any) -> Any:
        next(count)
        return execute(self, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Cursor, "execute", counted)
        report = target.load()
    assert report.lost == tables
    return next(count)


@pytest.mark.slow
def test_statements_grow_with_the_tables(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (statements(target, monkeypatch, tables) for tables in (5, 20))
    assert many <= 4 * few


def test_orphans_beside_rows_to_replace_are_not_halved_for(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.conn.execute(
        "CREATE TABLE parent (id int PRIMARY KEY);"
        " CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent)"
    )
    children = [{"id": n, "parent": n % 50 or 99} for n in range(1, 2_001)]
    target.write(parent=[{"id": n} for n in range(1, 50)], child=children)
    sent = itertools.count()
    move = UpsertDestination._move

    def counted(self: Any, columns: Any, count: int) -> Any:
        next(sent)
        return move(self, columns, count)

    monkeypatch.setattr(UpsertDestination, "_move", counted)
    report = target.load(append=True, on_conflict="replace")
    assert report.lost == 40
    # For each orphan the rows before it, and itself; beside them what comes next, and the parents.
    assert next(sent) <= 40 * 3 + 10


@pytest.mark.parametrize(
    ("links", "cycles"),
    [
        ({1: {2}, 2: {3}, 3: set()}, [{1}, {2}, {3}]),
        ({1: {2}, 2: {1, 3}, 3: {3}}, [{1, 2}, {3}]),
        ({1: {2}, 2: {3}, 3: {1}, 4: {1}, 5: {6}, 6: {5, 4}}, [{1, 2, 3}, {4}, {5, 6}]),
    ],
)
def test_cycles(links: dict[int, set[int]], cycles: list[set[int]]) -> None:
    found = cycles_of(links)
    grouped = [{n for n in links if found[n] == number} for number in sorted(set(found.values()))]
    assert sorted(grouped, key=min) == cycles
    assert all(found[to] <= found[node] for node, others in links.items() for to in others)


def test_a_cycle_of_many_tables_needs_no_recursion() -> None:
    many = 50_000
    assert set(cycles_of({n: {(n + 1) % many} for n in range(many)}).values()) == {0}
