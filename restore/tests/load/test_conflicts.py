"""Loading beside rows that are there: reject, skip, replace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from restore import Options, SchemaError, restore

if TYPE_CHECKING:
    from restore import Report
    from restore.tests.support.target import Target

CREATE = """
    CREATE TABLE item (
        id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sku text UNIQUE, n int DEFAULT 7,
        twice int GENERATED ALWAYS AS (n * 2) STORED
    );
    INSERT INTO item (sku, n) VALUES ('a', 1), ('b', 2), ('c', 3);
"""
PARTED = """
    CREATE TABLE item (id int PRIMARY KEY, sku text, n int) PARTITION BY RANGE (id);
    CREATE TABLE item_low PARTITION OF item FOR VALUES FROM (0) TO (500);
    CREATE TABLE item_high PARTITION OF item FOR VALUES FROM (500) TO (100000);
    INSERT INTO item VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3);
"""


def append(target: Target, mode: Any, **options: Any) -> Report:
    report = restore(
        Options(
            backup=target.backup,
            dsn=target.dsn,
            rejects=target.rejects,
            append=True,
            on_conflict=mode,
            **options,
        )
    )
    assert report.error is None
    [table] = report.tables
    assert table.read == table.loaded + table.duplicates + table.rejected
    return report


def records(count: int) -> list[dict[str, Any]]:
    return [{"id": n, "sku": f"s{n}", "n": n * 10} for n in range(2, count)]


@pytest.mark.parametrize("schema", [CREATE, PARTED], ids=["plain", "partitioned"])
def test_skip_leaves_the_rows_that_are_there(target: Target, schema: str) -> None:
    target.conn.execute(schema)
    target.write(item=records(1000))
    [table] = append(target, "skip").tables
    assert (table.loaded, table.skipped, table.duplicates) == (996, 2, 2)
    assert not target.rejects.exists()
    assert target.rows("SELECT id, sku, n FROM item WHERE id < 5 ORDER BY id") == [
        *((1, "a", 1), (2, "b", 2), (3, "c", 3), (4, "s4", 40)),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("schema", [CREATE, PARTED], ids=["plain", "partitioned"])
def test_replace_overwrites_them_and_of_two_records_the_first_wins(
    target: Target, schema: str
) -> None:
    target.conn.execute(schema)
    items = [*records(1000), {"id": 3, "sku": "late", "n": 0}, {"id": 900, "sku": "later", "n": 0}]
    items.insert(700, {"id": 10, "sku": "near", "n": 0})
    target.write(item=items)
    [table] = append(target, "replace", chunk_bytes=8192).tables
    assert (table.loaded, table.replaced, table.duplicates) == (998, 2, 3)
    assert sorted(target.rejected("item")) == [700, 999, 1000]
    assert {line["kind"] for line in target.rejected("item").values()} == {"duplicate"}
    assert target.rows("SELECT id, sku, n FROM item WHERE id IN (1, 2, 3, 900) ORDER BY id") == [
        *((1, "a", 1), (2, "s2", 20), (3, "s3", 30), (900, "s900", 9000)),
    ]


def test_reject_names_the_record_whose_key_is_there(target: Target) -> None:
    target.conn.execute(CREATE)
    target.write(item=records(10))
    append(target, "reject")
    assert sorted(target.rejected("item")) == [0, 1]
    assert target.rejected("item")[0]["constraint"] == "item_pkey"


def test_replace_by_a_key_and_another_one_stands_in_the_way(target: Target) -> None:
    target.conn.execute(CREATE)
    items = records(50)
    items[20]["sku"] = "a"  # that of row 1, which is not replaced
    del items[30]["n"]
    target.write(item=items)
    append(target, "replace")
    assert sorted(target.rejected("item")) == [20]
    assert target.rejected("item")[20]["constraint"] == "item_sku_key"
    assert target.rows("SELECT n, twice FROM item WHERE id = 32") == [(7, 14)]


def test_replace_needs_a_key(target: Target) -> None:
    target.conn.execute("CREATE TABLE item (id int, sku text, n int)")
    target.write(item=records(5))
    with pytest.raises(SchemaError, match="has none: use skip or reject"):
        append(target, "replace")


def test_rows_that_were_there_are_never_taken_out(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE item"
        " (id int PRIMARY KEY, code text UNIQUE, parent text REFERENCES item (code));"
        " INSERT INTO item VALUES (1, 'A', NULL), (2, 'B', 'A');"
        " CREATE TABLE old (id int PRIMARY KEY, up int);"
        " INSERT INTO old VALUES (1, 99);"
        " ALTER TABLE old ADD CONSTRAINT old_up FOREIGN KEY (up) REFERENCES old NOT VALID"
    )
    target.write(item=[{"id": 1, "code": "Z"}, {"id": 3, "code": "C", "parent": "B"}])
    [table] = append(target, "replace").tables
    assert (table.loaded, table.rejected) == (1, 1)
    assert target.rejected("item")[0]["sqlstate"] == "23503"
    assert target.rows("SELECT id, code FROM item ORDER BY id") == [(1, "A"), (2, "B"), (3, "C")]
    (target.backup / "item.json").unlink()
    target.write(old=[{"id": 2, "up": 3}, {"id": 3, "up": 2}, {"id": 4, "up": 55}, {"id": "x"}])
    [table] = append(target, "reject").tables
    assert (table.loaded, table.rejected) == (2, 2)
    assert sorted(target.rejected("old")) == [2, 3]
    assert target.rows("SELECT id FROM old ORDER BY id") == [(1,), (2,), (3,)]
    assert target.rows("SELECT convalidated FROM pg_constraint WHERE conname = 'old_up'") == [
        (False,)
    ]


def test_skip_keeps_what_is_twice_in_the_backup_itself(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE item (id int PRIMARY KEY, email text UNIQUE);"
        " INSERT INTO item VALUES (9, 'z')"
    )
    items = [{"id": 1, "email": "a"}, {"id": 1, "email": "b"}, {"id": 2, "email": "a"}]
    target.write(item=[*items, {"id": 9, "email": "y"}, {"id": 5, "email": "z"}])
    [table] = append(target, "skip").tables
    assert (table.loaded, table.skipped, table.duplicates) == (1, 2, 4)
    assert sorted(target.rejected("item")) == [1, 2]


def test_records_of_many_shapes_come_in_once_each(target: Target) -> None:
    target.conn.execute("CREATE TABLE item (id int, n int DEFAULT 7)")
    target.write(item=[{"id": n} | ({"n": n} if n % 2 else {}) for n in range(40)])
    [table] = append(target, "skip").tables
    assert (table.loaded, table.levels.batch) == (40, 40)
    query = "SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE n = 7) FROM item"
    assert target.rows(query) == [(40, 40, 21)]


KEYS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "an expression": (
        "CREATE UNIQUE INDEX ON item (lower(sku))",
        [{"sku": "A"}, {"sku": "new"}, {"sku": "NEW"}],
    ),
    "a partial index": (
        "CREATE UNIQUE INDEX ON item (sku) WHERE n > 0",
        [{"sku": "a", "n": 1}, {"sku": "a", "n": -1}, {"sku": "b", "n": 2}, {"sku": "b", "n": 3}],
    ),
    "an exclusion constraint": (
        "ALTER TABLE item ADD EXCLUDE USING gist (during WITH &&)",
        [{"during": "[5,6)"}, {"during": "[20,30)"}, {"during": "[25,40)"}],
    ),
    "a generated column": (
        "CREATE UNIQUE INDEX ON item (twice)",
        [{"n": 1}, {"n": 40}, {"n": 40}],
    ),
    "columns called like aliases": (
        'ALTER TABLE item RENAME sku TO restore_new; CREATE UNIQUE INDEX ON item ("restore_new")',
        [{"restore_new": "a"}, {"restore_new": "new"}, {"restore_new": "new"}],
    ),
    "a modulus": (
        "CREATE UNIQUE INDEX ON item ((n % 100))",
        [{"n": 101}, {"n": 50}, {"n": 150}],
    ),
}
ITEM = """
    CREATE TABLE item (
        id serial PRIMARY KEY, sku text, n int, during int4range,
        twice int GENERATED ALWAYS AS (n * 2) STORED
    );
    INSERT INTO item (sku, n, during) VALUES ('a', 1, '[1,10)');
"""


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
def test_skip_leaves_out_what_any_key_says_is_there(target: Target, key: str) -> None:
    """The first record conflicts with a row that is there, the last with one before it."""
    index, items = KEYS[key]
    target.conn.execute(ITEM)
    target.conn.execute(index)
    target.write(item=items)
    [table] = append(target, "skip").tables
    assert (table.loaded, table.skipped, table.rejected + table.duplicates - 1) == (
        *(len(items) - 2, 1, 1),
    )
    [reject] = target.rejected("item").values()
    assert reject["ordinal"] == len(items) - 1
    assert "violates" in reject["message"], "the server's own words say which key it is"
    assert reject["constraint"]


def test_skip_takes_nulls_as_the_key_does(target: Target) -> None:
    if target.conn.info.server_version < 150_000:
        pytest.skip("NULLS NOT DISTINCT came with PostgreSQL 15")
    target.conn.execute("CREATE TABLE item (sku text, n int, UNIQUE NULLS NOT DISTINCT (sku, n))")
    target.conn.execute("INSERT INTO item VALUES ('a', NULL)")
    target.write(item=[{"sku": "a", "n": None}, {"sku": None, "n": 1}, {"sku": None, "n": 1}])
    [table] = append(target, "skip").tables
    assert (table.loaded, table.skipped, table.duplicates) == (1, 1, 2)
    assert sorted(target.rejected("item")) == [2]


@pytest.mark.parametrize("mode", ["skip", "replace"])
def test_a_deferrable_key_is_refused_before_anything_is_written(target: Target, mode: str) -> None:
    target.conn.execute("CREATE TABLE item (id int PRIMARY KEY DEFERRABLE, sku text)")
    target.write(item=[{"id": 1, "sku": "a"}])
    line = target.turned_down(append=True, on_conflict=mode)
    assert line.startswith("2: ")
    assert "deferrable constraint item_pkey" in line


NUMBERED = """
    CREATE TABLE item (id serial PRIMARY KEY, sku text DEFAULT 'none', n int, serial serial);
    INSERT INTO item (id, sku, n) VALUES (1, 'old', 1), (2, 'old', 2);
"""


@pytest.mark.parametrize("mode", ["reject", "skip", "replace"])
def test_a_record_without_its_key_takes_nobodys_place(target: Target, mode: str) -> None:
    """The sequence lags behind the rows that are there."""
    target.conn.execute(NUMBERED)
    target.write(item=[{"sku": "without"}, {"id": 1, "sku": "with"}])
    [table] = append(target, mode).tables
    assert target.rows("SELECT id FROM item WHERE sku = 'without'") == [(3,)]
    assert target.rows("SELECT sku FROM item WHERE id = 2") == [("old",)]
    first = {"reject": "old", "skip": "old", "replace": "with"}[mode]
    assert target.rows("SELECT sku FROM item WHERE id = 1") == [(first,)]
    assert (table.loaded, table.replaced, table.skipped) == {
        "reject": (1, 0, 0),
        "skip": (1, 0, 1),
        "replace": (2, 1, 0),
    }[mode]


def test_a_replaced_row_is_what_the_record_says_but_for_its_numbers(target: Target) -> None:
    target.conn.execute(NUMBERED)
    target.write(item=[{"id": 2}])
    append(target, "replace")
    assert target.rows("SELECT sku, n, serial FROM item WHERE id = 2") == [("none", None, 2)]


def test_a_key_without_overlaps_is_skipped_by_and_not_replaced_by(target: Target) -> None:
    if target.conn.info.server_version < 180_000:
        pytest.skip("WITHOUT OVERLAPS came with PostgreSQL 18")
    target.conn.execute(
        "CREATE TABLE room (id int4range, valid daterange, name text,"
        " PRIMARY KEY (id, valid WITHOUT OVERLAPS));"
        "INSERT INTO room VALUES ('[1,2)', '[2020-01-01,2020-06-01)', 'there')"
    )
    overlaps, first = "[2020-05-01,2020-07-01)", "[2021-01-01,2022-01-01)"
    records = [(overlaps, "a"), (first, "b"), ("[2021-05-01,2021-06-01)", "c")]
    target.write(room=[{"id": "[1,2)", "valid": valid, "name": name} for valid, name in records])
    said = target.turned_down(append=True, on_conflict="replace")
    assert said.startswith("2: --on-conflict replace tells rows by a key that compares by equality")
    report = target.load(append=True, on_conflict="skip")
    assert (report.tables[0].skipped, report.tables[0].rejected) == (1, 1)
    assert target.rows("SELECT name FROM room ORDER BY name") == [("b",), ("there",)]
    assert target.rejected("room")[2]["sqlstate"] == "23P01"
