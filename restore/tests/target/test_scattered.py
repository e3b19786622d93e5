"""Tables of Citus and TimescaleDB are loaded in the plain way: keys and indexes stay in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from restore.tests.support.scattered import distribute, make_hypertable

if TYPE_CHECKING:
    from restore.tests.support.target import Target

LONG = "x" * 1500
SHOP = """
    CREATE TABLE country (code text PRIMARY KEY);
    CREATE TABLE shop (id int PRIMARY KEY, country text, note text);
    CREATE TABLE sale (shop int, id int, note text, PRIMARY KEY (shop, id));
    CREATE INDEX sale_note ON sale (note text_pattern_ops)
"""
SHOP_KEYS = """
    ALTER TABLE shop ADD FOREIGN KEY (country) REFERENCES country;
    ALTER TABLE sale ADD FOREIGN KEY (shop) REFERENCES shop
"""
READINGS = """
    CREATE TABLE sensor (id int PRIMARY KEY);
    CREATE TABLE reading (
        at timestamptz NOT NULL, sensor int REFERENCES sensor, note text, UNIQUE (at, sensor)
    )
"""
OBJECTS = """
    SELECT oid::text, relname::text FROM pg_class
    WHERE relkind = 'i' AND relnamespace = 'public'::regnamespace
    UNION ALL SELECT oid::text, conname FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace ORDER BY 2, 1
"""


@pytest.fixture
def shop(target: Target, monkeypatch: pytest.MonkeyPatch) -> Target:
    """Distributed tables and a reference table; their files are worth dropping indexes."""
    target.conn.execute(SHOP)
    distribute(target, monkeypatch, country=None, shop="id", sale="shop")
    for statement in SHOP_KEYS.split(";"):
        target.conn.execute(statement)
    target.write(
        country=[{"code": "de"}, {"code": "fr"}, {"code": "de"}],
        shop=[{"id": n, "country": "de", "note": LONG} for n in range(3000)]
        + [{"id": 5, "country": "fr"}, {"id": 3001, "country": "xx"}, {"id": 3002}],
        sale=[{"shop": n, "id": 1, "note": LONG} for n in range(3000)]
        + [{"shop": 7, "id": 1}, {"shop": 3001, "id": 1}, {"shop": 3002, "id": 1}],
    )
    return target


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--jobs", "2"), ("--append",)], ids=" ".join)
def test_tables_of_citus(shop: Target, options: tuple[str, ...]) -> None:
    before = shop.rows(OBJECTS)
    for _ in range(2):
        said = " ".join(shop.restore(*options, exit_code=3).split())
        assert "Citus keeps the rows of country, sale, shop in shards" in said
        counts = {name: (c["loaded"], c["duplicates"]) for name, c in shop.counts().items()}
        assert counts == {"country": (2, 1), "shop": (3001, 1), "sale": (3001, 1)}
        assert [*shop.rejected("shop")] == [3000, 3001]
        assert [*shop.rejected("sale")] == [3000, 3001]
        assert shop.rows("SELECT count(*) FROM sale") == [(3001,)]
        assert shop.rows(OBJECTS) == before
        if "--append" in options:
            break
        options = (*options, "--clean")


def test_a_dry_run_of_tables_of_citus(shop: Target) -> None:
    shop.restore("--dry-run", exit_code=3)
    assert shop.counts()["sale"]["loaded"] == 3001
    said = shop.restore("--dry-run", "--tables", "sale", exit_code=3)
    assert "foreign keys to shop, whose rows Citus keeps in shards, are not seen" in said
    assert shop.counts()["sale"]["loaded"] == 3002
    assert shop.rows("SELECT count(*) FROM sale") == [(0,)]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (("--atomic",), "--atomic"),
        (("--append", "--on-conflict", "skip"), "--on-conflict skip"),
        (("--append", "--on-conflict", "replace"), "--on-conflict replace"),
    ],
)
def test_what_takes_one_server_is_refused_for_tables_of_citus(
    shop: Target, options: tuple[str, ...], name: str
) -> None:
    said = shop.restore(*options, exit_code=2)
    assert f"{name} needs transactions and row versions of one server, and Citus keeps" in said
    assert shop.rows("SELECT count(*) FROM country") == [(0,)]


def test_a_key_in_a_cycle_is_refused_for_tables_of_citus(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.conn.execute(
        "CREATE TABLE tree (root int, id int, parent int, PRIMARY KEY (root, id),"
        " FOREIGN KEY (root, parent) REFERENCES tree)"
    )
    distribute(target, monkeypatch, tree="root")
    target.write(tree=[{"root": 1, "id": 1}])
    said = target.restore(exit_code=2)
    assert "is in a cycle" in said
    assert "Citus keeps the rows of tree in shards; drop the key for the restore" in said


def test_a_table_that_is_stored_by_columns(target: Target) -> None:
    """A stand-in for Citus's columnar, which takes no DELETE: it only has the name."""
    target.conn.execute("CREATE ACCESS METHOD columnar TYPE TABLE HANDLER heap_tableam_handler")
    try:
        target.conn.execute("CREATE TABLE wide (id int PRIMARY KEY, note text) USING columnar")
        target.write(wide=[*({"id": n, "note": LONG} for n in range(3000)), {"id": 7}])
        before = target.rows(OBJECTS)
        for options in ((), ("--clean", "--jobs", "2")):
            target.restore(*options, exit_code=3)
            assert [*target.refused("wide")] == [3000]
            assert target.rows(OBJECTS) == before
        said = target.restore("--clean", "--atomic", exit_code=2)
        assert "its access method columnar may delete no rows" in said
    finally:
        target.conn.execute("DROP ACCESS METHOD columnar CASCADE")


def test_a_hypertable(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are found, and emptied, in its chunks, which do not count as other tables."""
    target.conn.execute(READINGS)
    make_hypertable(target, monkeypatch, "reading", "at")
    chunks = target.rows("SELECT 1 FROM pg_inherits WHERE inhparent = 'reading'::regclass")
    into = "_timescaledb_internal.chunk" if chunks else "reading"
    target.conn.execute("INSERT INTO sensor VALUES (1)")
    target.conn.execute(f"INSERT INTO {into} VALUES ('2024-01-01', 1)")
    if chunks:
        target.conn.execute(f"ALTER TABLE {into} ADD FOREIGN KEY (sensor) REFERENCES sensor")
    target.write(
        sensor=[{"id": n} for n in range(10)],
        reading=[
            {"at": f"2024-01-{1 + n // 200:02d}T00:{n // 10 % 20}:{n % 60}Z", "sensor": n % 10}
            | {"note": LONG}
            for n in range(3000)
        ]
        + [{"at": "2024-01-01T00:00:00Z", "sensor": 0}, {"at": "2024-01-01", "sensor": 77}],
    )
    before = target.rows(OBJECTS)
    assert "not empty: reading, sensor" in target.restore(exit_code=2)
    for options in (("--clean",), ("--clean", "--jobs", "2"), ("--clean", "--atomic")):
        said = " ".join(target.restore(*options, exit_code=3).split())
        assert "TimescaleDB keeps the rows of reading in chunks" in said
        assert target.counts()["reading"]["loaded"] == 3000
        assert [*target.rejected("reading")] == [3000, 3001]
        assert target.rows("SELECT count(*) FROM reading") == [(3000,)]
        assert target.rows(OBJECTS) == before


def test_a_trigger_of_a_hypertable_cannot_be_disabled(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.conn.execute(READINGS)
    target.conn.execute(
        "CREATE TABLE seen (n int); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO public.seen VALUES (1); RETURN NEW; END $$;"
        " CREATE TRIGGER note AFTER INSERT ON reading FOR EACH ROW EXECUTE FUNCTION note()"
    )
    make_hypertable(target, monkeypatch, "reading", "at")
    target.write(sensor=[{"id": 1}], reading=[{"at": "2024-01-01T00:00:00Z", "sensor": 1}])
    assert "trigger note of table reading cannot be kept from firing" in target.restore(exit_code=2)
    target.restore("--triggers")
    assert target.rows("SELECT count(*) FROM seen") == [(1,)]
