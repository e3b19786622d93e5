"""Item 11: tables that refer to themselves or to each other, by their owner and by others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from restore.tests.support.target import COMPANIES, user, uuid

if TYPE_CHECKING:
    from restore.tests.support.target import Target

RING = """
    CREATE TABLE a (id int PRIMARY KEY, b int);
    CREATE TABLE b (id int PRIMARY KEY, c int);
    CREATE TABLE c (id int PRIMARY KEY, a int REFERENCES a, c int REFERENCES c);
    ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b;
    ALTER TABLE b ADD FOREIGN KEY (c) REFERENCES c;
"""


def write_ring(target: Target) -> None:
    target.conn.execute(RING)
    numbers = range(30)
    target.write(
        a=[{"id": n, "b": (n + 1) % 30} for n in numbers],
        b=[{"id": n, "c": (n + 2) % 30} for n in numbers],
        c=[{"id": n, "a": (n + 3) % 30, "c": (n + 5) % 30} for n in numbers],
    )


@pytest.mark.parametrize("append", [False, True])
def test_a_ring_of_three_and_a_self_reference(target: Target, *, append: bool) -> None:
    write_ring(target)
    report = target.load(append=append)
    assert [table.loaded for table in report.tables] == [30, 30, 30]
    assert target.rows(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"
        " AND conrelid IN ('a'::regclass, 'b'::regclass, 'c'::regclass)"
    ) == [(4,)]


def test_who_does_not_own_the_tables_of_a_cycle_is_told_before_anything_is_written(
    target: Target,
) -> None:
    write_ring(target)
    with target.role() as name:
        target.conn.execute(f"GRANT ALL ON a, b, c TO {name}")
        assert "1: must be owner of table a:" in target.turned_down()
        for table in "abc":
            target.conn.execute(f"ALTER TABLE {table} OWNER TO {name}")
        message = target.turned_down()
        assert "may not create: GRANT CREATE ON DATABASE" in message
        assert target.rows("SELECT count(*) FROM a") == [(0,)]
        target.conn.execute(message.rpartition(": ")[2])
        assert target.load().complete


def test_the_order_in_the_file_does_not_matter(target: Target) -> None:
    users = [user(n, boss=uuid(99 - n)) for n in range(100)]
    target.write(company=COMPANIES, User=users)
    assert target.load(chunk_bytes=1024).complete
