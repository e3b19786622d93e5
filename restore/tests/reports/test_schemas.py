"""Public reports of constraints, columns, partitions and triggers that stop a load."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import psycopg
import pytest

from restore.tests.support.extensions import create_extension

if TYPE_CHECKING:
    from restore.tests.support.target import Target


def sqlstates(target: Target, table: str) -> dict[int, str | None]:
    """Return the SQLSTATE of each reject of a table, by its ordinal."""
    return {at: one.get("sqlstate") for at, one in target.refused(table).items()}


@pytest.mark.parametrize("kind", ["STORED", "VIRTUAL"])
def test_generated_columns_of_an_export(target: Target, kind: str) -> None:
    """dimitri/pgcopydb#496, dimitri/pgloader#1442: generated columns cannot be used in COPY."""
    if kind == "VIRTUAL" and target.conn.info.server_version < 180_000:
        pytest.skip("generated columns are stored before PostgreSQL 18")
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, nom text, n int, least int,"
        f" big text GENERATED ALWAYS AS (upper(nom)) {kind},"
        f" share int GENERATED ALWAYS AS (n / least) {kind}, CHECK (share < 9))"
    )
    target.write(
        t=[
            {"id": 1, "nom": "aname", "big": "ANAME", "n": 4, "least": 2, "share": 2},
            {"id": 2, "nom": "b", "n": 4, "least": 0},
            {"id": 3, "nom": "c", "n": 9, "least": 1},
            {"id": 4, "nom": None, "big": None, "n": None, "share": None},
        ]
    )
    target.restore(exit_code=3)
    assert sqlstates(target, "t") == {1: "22012", 2: "23514"}
    assert target.rows("SELECT * FROM t ORDER BY id") == [
        (1, "aname", 4, 2, "ANAME", 2),
        (4, None, None, None, None, None),
    ]


def test_values_that_an_index_cannot_hold(target: Target) -> None:
    """firefart/network_info#40: index row size exceeds btree version 4 maximum 2704."""
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text, w text);"
        " CREATE INDEX t_v ON t (v); CREATE UNIQUE INDEX t_lower ON t (lower(v))"
    )
    long = "".join(hashlib.sha512(bytes([n])).hexdigest() for n in range(200))
    # Large enough for the indexes to be dropped and recreated.
    others = [{"id": n, "v": str(n), "w": "w" * 1000} for n in range(2, 5000)]
    target.write(t=[{"id": 1, "v": long}, *others])
    target.restore(exit_code=3)
    assert sqlstates(target, "t") == {0: "54000"}
    names = "SELECT indexname FROM pg_indexes WHERE tablename = 't' ORDER BY 1"
    assert target.rows(names) == [("t_lower",), ("t_pkey",), ("t_v",)]


def test_rows_that_are_too_wide(target: Target) -> None:
    """singer-io/tap-hubspot#262: row is too big: size 8448, maximum size 8160."""
    columns = [f"c{number}" for number in range(1600)]
    target.conn.execute(f"CREATE TABLE t ({', '.join(f'{name} text' for name in columns)})")
    target.write(t=[dict.fromkeys(columns, text) for text in ("x", "x" * 200, "y")])
    target.restore(exit_code=3)
    assert sqlstates(target, "t") == {1: "54000"}
    assert target.rows("SELECT c0, c1599 FROM t ORDER BY c0") == [("x", "x"), ("y", "y")]


def test_partitions_of_partitions(target: Target) -> None:
    """yugabyte/yugabyte-db#10591, postgres-cn/pgdoc-cn#364: rows and their partitions."""
    target.conn.execute(
        "CREATE TABLE p (id int, d date, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);"
        " CREATE TABLE p24 PARTITION OF p FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')"
        " PARTITION BY HASH (id);"
        " CREATE TABLE p24a PARTITION OF p24 FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        " CREATE TABLE p24b (gone int, d date NOT NULL, id int NOT NULL);"
        " ALTER TABLE p24b DROP COLUMN gone;"
        " ALTER TABLE p24 ATTACH PARTITION p24b FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        " CREATE TABLE c (id int PRIMARY KEY, p int, d date, FOREIGN KEY (p, d) REFERENCES p)"
    )
    days = ["2024-05-01", "2024-05-02", "1999-01-01", None]
    target.write(
        p=[{"id": n, "d": days[0]} for n in range(10)] + [{"id": 1, "d": day} for day in days],
        c=[{"id": n, "p": 1, "d": day} for n, day in enumerate(days)],
    )
    for options in ((), ("--clean", "--atomic")):
        target.restore(*options, exit_code=3)
        assert sqlstates(target, "p") == {10: "23505", 12: "23514", 13: "23514"}
        assert sqlstates(target, "c") == {2: "23503"}
        counts = "SELECT tableoid::regclass::text, count(*) FROM p GROUP BY 1 ORDER BY 1"
        assert sum(count for _, count in target.rows(counts)) == 11
        assert {name for name, _ in target.rows(counts)} == {"p24a", "p24b"}


def test_a_partition_that_takes_no_rows(target: Target) -> None:
    """citusdata/cstore_fdw#196: a COPY into a table of which a partition is a foreign table."""
    create_extension(target, "file_fdw")
    target.conn.execute(
        "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;"
        " CREATE TABLE p (id int, k text) PARTITION BY LIST (k);"
        " CREATE TABLE pa PARTITION OF p FOR VALUES IN ('a');"
        " CREATE FOREIGN TABLE pb PARTITION OF p FOR VALUES IN ('b')"
        " SERVER files OPTIONS (filename '/dev/null')"
    )
    target.write(p=[{"id": 1, "k": "a"}, {"id": 2, "k": "b"}, {"id": 3, "k": "a"}])
    target.restore(exit_code=3)
    assert [*target.refused("p")] == [1]
    assert target.rows("SELECT id FROM pa ORDER BY id") == [(1,), (3,)]


def test_partitions_by_inheritance_and_a_trigger(target: Target) -> None:
    """pgpartman/pg_partman#103: the trigger that finds the partition returns no row."""
    target.conn.execute(
        "CREATE TABLE m (id int, d date); CREATE TABLE m_24 () INHERITS (m);"
        " CREATE FUNCTION pass_on() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO m_24 VALUES (NEW.*); RETURN NULL; END $$;"
        " CREATE TRIGGER pass_on BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION pass_on()"
    )
    target.write(m=[{"id": 1, "d": "2024-01-01"}, {"id": 2, "d": "2024-01-02"}])
    # Whether a row is there in another table is not known: what is counted as loaded is loaded.
    target.restore("--triggers", exit_code=3)
    assert [*target.rejected("m")] == [0, 1]
    assert target.rows("SELECT * FROM m") == []
    target.restore()
    assert target.rows("SELECT tableoid::regclass::text, id FROM m") == [("m", 1), ("m", 2)]


@pytest.mark.parametrize("options", [(), ("--atomic",)])
def test_constraint_triggers_that_fire_at_the_commit(
    target: Target, options: tuple[str, ...]
) -> None:
    """yugabyte/yugabyte-db#1709, ankane/pgsync#231: deferred triggers of a COPY."""
    target.conn.execute(
        "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.v = 'bad' THEN RAISE EXCEPTION 'bad row %', NEW.id; END IF; RETURN NULL; END $$;"
        " CREATE TABLE a (id int PRIMARY KEY, b int, v text);"
        " CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a, v text);"
        " ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b;"
        " CREATE CONSTRAINT TRIGGER look AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION look();"
        " CREATE CONSTRAINT TRIGGER look AFTER INSERT ON b DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION look()"
    )
    target.write(
        a=[{"id": 1, "b": 1}, {"id": 2, "b": 1, "v": "bad"}],
        b=[{"id": 1, "a": 1}, {"id": 2, "a": 2}, {"id": 3, "a": 1, "v": "bad"}],
    )
    target.restore("--triggers", *options, exit_code=3)
    assert sqlstates(target, "a") == {1: "P0001"}
    assert sqlstates(target, "b") == {1: "23503", 2: "P0001"}
    keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"
    assert target.rows(f"{keys} AND conrelid IN ('a'::regclass, 'b'::regclass)") == [(2,)]


@pytest.mark.parametrize("options", [(), ("--clean", "--atomic"), ("--triggers",)])
def test_deferred_unique_keys(target: Target, options: tuple[str, ...]) -> None:
    """commandprompt/pgcolumnar#168: deferrable unique constraints and an import."""
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED,"
        " v text UNIQUE DEFERRABLE INITIALLY DEFERRED)"
    )
    pairs = [(1, "a"), (2, "a"), (1, "b"), (3, "c")]
    target.write(t=[{"id": number, "v": text} for number, text in pairs])
    target.restore(*options, exit_code=3)
    assert sqlstates(target, "t") == {1: "23505", 2: "23505"}
    assert target.rows("SELECT * FROM t ORDER BY id") == [(1, "a"), (3, "c")]


def test_sequences_of_names_with_capitals_and_of_other_steps(target: Target) -> None:
    """dimitri/pgloader#1691, yiisoft/yii2#8298: the next insert takes an id that is there."""
    target.conn.execute(
        'CREATE TABLE "Contracts" ("Id" int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY);'
        " CREATE TABLE down (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY"
        " (START WITH -1 INCREMENT BY -1), v text);"
        " CREATE TABLE tens (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY"
        " (START WITH 10 INCREMENT BY 10), v text)"
    )
    target.write(Contracts=[{"Id": 7}], down=[{"id": -5}, {"id": -7}], tens=[{"id": 35}])
    target.restore()
    assert target.rows('INSERT INTO "Contracts" DEFAULT VALUES RETURNING "Id"') == [(8,)]
    assert target.rows("INSERT INTO down DEFAULT VALUES RETURNING id") == [(-8,)]
    [(given,)] = target.rows("INSERT INTO tens DEFAULT VALUES RETURNING id")
    assert given > 35


def test_keys_with_some_nulls(target: Target) -> None:
    """cockroachdb/cockroach#30026: MATCH FULL and a key of which a part is NULL."""
    target.conn.execute(
        "CREATE TABLE a (x int, y int, PRIMARY KEY (x, y));"
        " CREATE TABLE b (id int PRIMARY KEY, x int, y int,"
        " FOREIGN KEY (x, y) REFERENCES a MATCH FULL)"
    )
    pairs = [(1, 1), (None, None), (1, None), (2, 2)]
    target.write(
        a=[{"x": 1, "y": 1}], b=[{"id": n, "x": x, "y": y} for n, (x, y) in enumerate(pairs)]
    )
    target.restore(exit_code=3)
    refused = target.refused("b")
    assert [*refused] == [2, 3]
    assert "MATCH FULL" in refused[2]["message"]
    assert "None" not in refused[2]["message"]


def test_ranges_that_overlap_and_ranges_that_are_none(target: Target) -> None:
    """Hipo/drf-extra-fields#113: range lower bound must be less than or equal to the upper."""
    create_extension(target, "btree_gist")
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, room int, during tstzrange,"
        " EXCLUDE USING gist (room WITH =, during WITH &&))"
    )
    ranges = [
        *["[2024-01-01,2024-01-05)", '["2024-01-04","2024-01-06")', "[2024-01-05,2024-01-06)"],
        *["empty", "[2024-01-02,2024-01-01)"],
    ]
    target.write(t=[{"id": n, "room": 1, "during": text} for n, text in enumerate(ranges)])
    target.restore(exit_code=3)
    assert sqlstates(target, "t") == {1: "23P01", 4: "22000"}


def test_keys_of_a_collation_that_folds_case(target: Target) -> None:
    """timescale/timescaledb#10297, duckdb/duckdb#19675: a unique key and its collation."""
    try:
        target.conn.execute(
            "CREATE COLLATION nocase"
            " (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this server has no ICU")
    target.conn.execute(
        "CREATE TABLE wine (label text COLLATE nocase PRIMARY KEY, notes text);"
        " CREATE TABLE bottle (id int PRIMARY KEY, label text COLLATE nocase REFERENCES wine)"
    )
    # Large enough for the key to be dropped and recreated.
    others = [{"label": f"w{n}", "notes": "n" * 1000} for n in range(5000)]
    labels = ["Merlot", "MERLOT", "merlot"]
    target.write(
        wine=[*({"label": label} for label in labels), *others],
        bottle=[{"id": 1, "label": "mErLoT"}, {"id": 2, "label": "Riesling"}],
    )
    target.restore(exit_code=3)
    assert [*target.refused("wine")] == [1, 2]
    assert [*target.refused("bottle")] == [1]
    assert target.rows("SELECT label FROM wine WHERE label = 'MERLOT'") == [("Merlot",)]
    assert target.rows("SELECT label FROM bottle") == [("mErLoT",)]


def test_tables_without_a_column_to_fill(target: Target) -> None:
    """kysely-org/kysely#685: a row of which the database makes every column."""
    target.conn.execute("CREATE TABLE t (a int GENERATED ALWAYS AS (1) STORED)")
    target.write(t=[{"a": 1}, {"a": 1}])
    target.restore()
    assert target.rows("SELECT a FROM t") == [(1,), (1,)]


@pytest.mark.xfail(strict=True, reason="nothing but the trigger's own words is said")
@pytest.mark.parametrize("fires", [False, True], ids=["without triggers", "with them"])
def test_triggers_that_protect_tables_from_truncation(target: Target, *, fires: bool) -> None:
    """LanternOps/breeze#2330, jbogard/Respawn#107: a trigger refuses that a table is emptied."""
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (9);"
        " CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;"
        " CREATE TRIGGER guard BEFORE TRUNCATE ON t EXECUTE FUNCTION refuse()"
    )
    target.write(t=[{"id": 1}])
    if fires:
        said = target.restore("--clean", "--triggers", exit_code=1)
        assert "guard" in said
        assert "table t" in said
    else:
        target.restore("--clean")
    assert target.rows("SELECT id FROM t") == [(9 if fires else 1,)]
