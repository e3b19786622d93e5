"""Partitioned tables of each kind: records that fit no partition, keys, jobs, resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from restore.tests.support.extensions import create_extension

if TYPE_CHECKING:
    from restore.tests.support.target import Target

LONG = "x" * 1500
# Two levels, by range and list or hash; one partition was a table with columns in another order.
SALES = """
    CREATE TABLE shop (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
    CREATE TABLE shop_north PARTITION OF shop FOR VALUES IN ('north');
    CREATE TABLE shop_south PARTITION OF shop FOR VALUES IN ('south');
    CREATE TABLE sale (
        id bigint NOT NULL, day date NOT NULL, shop int, region text, note text,
        PRIMARY KEY (id, day), FOREIGN KEY (shop, region) REFERENCES shop
    ) PARTITION BY RANGE (day);
    CREATE TABLE sale_2023 PARTITION OF sale FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')
        PARTITION BY HASH (id);
    CREATE TABLE sale_2023_a PARTITION OF sale_2023 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE sale_2023_b PARTITION OF sale_2023 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    CREATE TABLE sale_2024 (
        note text, gone int, region text, shop int, day date NOT NULL, id bigint NOT NULL
    );
    ALTER TABLE sale_2024 DROP COLUMN gone;
    ALTER TABLE sale ATTACH PARTITION sale_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    CREATE INDEX ON sale (note text_pattern_ops);
    CREATE TABLE refund (
        id int PRIMARY KEY, sale bigint, day date, FOREIGN KEY (sale, day) REFERENCES sale
    )
"""
SCHEMA = """
    SELECT c.relname, (SELECT count(*) FROM pg_index WHERE indrelid = c.oid AND indisvalid),
           (SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid AND convalidated)
    FROM pg_class c
    WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace ORDER BY 1
"""


def sale(number: int, **changes: Any) -> dict[str, Any]:
    region = "north" if number % 2 else "south"
    day = f"{2023 + number % 3 // 2}-0{1 + number % 9}-01"
    record = {"id": number, "day": day, "shop": number % 10, "region": region, "note": LONG}
    return record | changes


@pytest.fixture
def sales(target: Target) -> Target:
    target.conn.execute(SALES)
    shops = [{"id": n, "region": "north" if n % 2 else "south"} for n in range(10)]
    target.write(
        shop=[*shops, {"id": 3, "region": "north"}, {"id": 1, "region": "west"}],
        sale=[
            *(sale(n) for n in range(4000)),
            sale(7),  # 4000: a duplicate
            sale(9000, day="2030-01-01"),  # no partition
            sale(9001, shop=99),  # no shop
            sale(9002, day=None),
        ],
        refund=[
            *({"id": n, "sale": n, "day": sale(n)["day"]} for n in range(100)),
            {"id": 100, "sale": 9000, "day": "2030-01-01"},  # whose sale is rejected
            {"id": 101, "sale": 5, "day": "2001-01-01"},
        ],
    )
    return target


def check(sales: Target) -> None:
    assert [*sales.rejected("shop")] == [10, 11]
    assert sorted(sales.rejected("sale")) == [4000, 4001, 4002, 4003]
    assert sorted(sales.rejected("refund")) == [100, 101]
    assert sales.rejected("sale")[4001]["sqlstate"] == "23514"
    assert "no partition" in sales.rejected("sale")[4001]["message"]
    rows = "SELECT count(*), count(DISTINCT tableoid), sum(id), sum(length(note)) FROM sale"
    assert sales.rows(rows) == [(4000, 3, 7998000, 6000000)]
    assert sales.rows("SELECT count(*) FROM refund JOIN sale ON sale.id = refund.sale") == [(100,)]
    wrong = "SELECT count(*) FROM sale WHERE shop <> id % 10 OR note <> repeat('x', 1500)"
    assert sales.rows(wrong) == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_each_kind_of_partition(sales: Target, jobs: str) -> None:
    before = sales.rows(SCHEMA)
    for options in ((), ("--clean",), ("--clean", "--atomic"), ("--clean", "--keep-indexes")):
        sales.restore("--jobs", jobs, *options, exit_code=3)
        check(sales)
        assert sales.rows(SCHEMA) == before
    sales.restore("--dry-run", "--clean", "--jobs", jobs, exit_code=3)
    assert sales.counts()["sale"]["loaded"] == 4000


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(
    "place",
    ["constraints.recreate.recreate_foreign_keys", "schedule.table_state.TableState.note_loaded"],
)
def test_partitioned_tables_are_resumed(sales: Target, jobs: str, place: str) -> None:
    before = sales.rows(SCHEMA)
    options = ("--jobs", jobs, "--rejects", str(sales.rejects))
    sales.kill(place, *options)
    sales.restore("--resume", "--jobs", jobs, exit_code=3)
    check(sales)
    assert sales.rows(SCHEMA) == before


def test_a_partition_on_another_server(target: Target) -> None:
    """A table of postgres_fdw takes rows by COPY and INSERT, and no TRUNCATE before 14."""
    create_extension(target, "postgres_fdw")
    [(database, folder, port)] = target.rows(
        "SELECT current_database(), split_part(current_setting('unix_socket_directories'), ',', 1),"
        " current_setting('port')"
    )
    target.conn.execute(
        f"CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw"
        f" OPTIONS (host '{folder}', port '{port}', dbname '{database}');"
        " CREATE USER MAPPING FOR postgres SERVER other OPTIONS (user 'postgres');"
        " CREATE TABLE event_far (id int, kind text CHECK (id > 0));"
        " CREATE TABLE event (id int, kind text) PARTITION BY LIST (kind);"
        " CREATE TABLE event_a PARTITION OF event FOR VALUES IN ('a');"
        " CREATE FOREIGN TABLE event_b PARTITION OF event FOR VALUES IN ('b')"
        " SERVER other OPTIONS (table_name 'event_far')"
    )
    target.write(
        event=[{"id": n, "kind": "abc"[n % 3], "note": LONG} for n in range(1, 5000)]
        + [{"id": -1, "kind": "b"}]
    )
    for options in ((), ("--clean",), ("--clean", "--jobs", "2"), ("--clean", "--atomic")):
        target.restore("--unknown-fields", "ignore", *options, exit_code=3)
        assert target.rows("SELECT count(*), count(DISTINCT tableoid) FROM event") == [(3333, 2)]
        assert len(target.rejected("event")) == 1667
