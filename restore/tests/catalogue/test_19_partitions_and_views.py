"""Item 19: partitions load through the parent; views are left out; those that store are stale."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restore.tests.support.target import Target

PARTITIONED = """
    CREATE TABLE events (id int, kind text) PARTITION BY LIST (kind);
    CREATE TABLE events_a PARTITION OF events FOR VALUES IN ('a');
    CREATE TABLE events_b PARTITION OF events FOR VALUES IN ('b');
"""


def test_rows_find_their_partition_and_those_without_one_are_rejected(target: Target) -> None:
    target.conn.execute(PARTITIONED)
    target.write(events=[{"id": n, "kind": "abc"[n % 3]} for n in range(9)])
    report = target.load()
    assert (report.tables[0].loaded, report.tables[0].rejected) == (6, 3)
    assert target.rows("SELECT count(*) FROM events_b") == [(3,)]
    target.write(events=[{"id": 1, "kind": "a"}])
    assert target.load(clean=True).complete
    assert target.rows("SELECT count(*) FROM events") == [(1,)]


def test_a_partition_alone_is_a_table_as_others(target: Target) -> None:
    target.conn.execute(PARTITIONED)
    target.write(events_a=[{"id": 1, "kind": "a"}, {"id": 2, "kind": "b"}])
    report = target.load()
    assert (report.tables[0].loaded, report.tables[0].rejected) == (1, 1)


def test_a_partition_beside_its_parent_would_come_twice(target: Target) -> None:
    target.conn.execute(PARTITIONED)
    target.write(events=[{"id": 1, "kind": "a"}], events_a=[{"id": 1, "kind": "a"}])
    message = target.turned_down()
    assert message.startswith("2: table events_a is a partition of events, and both are in")
    assert target.load(exclude=frozenset({"events_a"})).complete
    assert target.rows("SELECT count(*) FROM events") == [(1,)]


def test_a_table_that_inherits_beside_its_parent_is_a_warning(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE above (id int); CREATE UNLOGGED TABLE below (x int) INHERITS (above)"
    )
    target.write(above=[{"id": 1}], below=[{"id": 2, "x": 2}])
    report = target.load()
    assert "table below inherits from above: if above.json was not written" in report.warnings[0]
    assert target.rows("SELECT count(*) FROM ONLY above") == [(1,)]


def test_rows_of_a_table_that_inherits_are_not_taken_out_as_orphans(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE p (id int PRIMARY KEY);"
        " CREATE TABLE above (id int REFERENCES p); CREATE TABLE below () INHERITS (above);"
        " INSERT INTO below VALUES (77)"
    )
    target.write(above=[{"id": 1}, {"id": 2}], p=[{"id": 1}])
    report = target.load()
    assert report.lost == 1
    assert target.rows("SELECT id FROM above ORDER BY 1") == [(1,), (77,)]


def test_files_of_views_and_foreign_tables_are_left_out_and_named(target: Target) -> None:
    target.conn.execute(
        "CREATE VIEW seen AS SELECT * FROM company;"
        " CREATE MATERIALIZED VIEW stored AS SELECT * FROM company;"
        " CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
        " CREATE FOREIGN TABLE away (id int) SERVER s"
    )
    target.write(seen=[{"id": 1}], stored=[{"id": 1}], away=[{"id": 1}], company=[])
    report = target.load()
    assert report.left_out == [
        "away.json: a foreign table in the database",
        "seen.json: a view in the database",
        "stored.json: a materialized view in the database",
    ]
    assert report.complete


def test_materialized_views_over_the_tables_are_named_as_stale(target: Target) -> None:
    target.conn.execute(PARTITIONED)
    target.conn.execute(
        "CREATE VIEW seen AS SELECT * FROM events; CREATE SCHEMA app;"
        ' CREATE MATERIALIZED VIEW app."By Day" AS SELECT count(*) AS n FROM seen;'
        ' CREATE MATERIALIZED VIEW over_it AS SELECT * FROM app."By Day";'
        " CREATE MATERIALIZED VIEW of_a AS SELECT * FROM events_a;"
        " CREATE MATERIALIZED VIEW other AS SELECT * FROM company"
    )
    target.write(events=[{"id": 1, "kind": "a"}])
    report = target.load()
    assert report.stale == ['app."By Day"', "public.over_it", "public.of_a"]
    for view in report.stale:
        target.conn.execute(f"REFRESH MATERIALIZED VIEW {view}")
    assert target.rows("SELECT * FROM over_it") == [(1,)]
    (target.backup / "events.json").unlink()
    target.write(events_b=[{"id": 1, "kind": "b"}])
    assert target.load(clean=True).stale == ['app."By Day"', "public.over_it"]


def test_wide_tables_have_statistics_of_their_keys_and_first_columns(target: Target) -> None:
    names = [f"c{n}" for n in range(140)]
    target.conn.execute(
        "CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1);"
        f" CREATE TABLE wide ({', '.join(f'{name} int' for name in names)}, UNIQUE (c130),"
        " FOREIGN KEY (c139) REFERENCES other)"
    )
    target.write(wide=[dict.fromkeys(names, 1)])
    assert target.load().complete
    found = target.rows("SELECT attname FROM pg_stats WHERE tablename = 'wide'")
    assert {name for (name,) in found} == {*names[:98], "c130", "c139"}


def test_tables_have_statistics_afterwards(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int)")
    target.write(t=[{"id": n} for n in range(100)])
    target.load()
    assert target.rows("SELECT count(*) FROM pg_stats WHERE tablename = 't'") == [(1,)]
