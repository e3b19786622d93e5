"""Item 9: sequences go on behind what was loaded, whoever owns them and however they count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from restore.tests.support.target import Target


def next_value(target: Target, sequence: str) -> int:
    return int(target.rows(f"SELECT nextval('{sequence}')")[0][0])


@pytest.mark.parametrize(
    ("made", "ids", "expected"),
    [
        ("", [3, 41], 42),
        ("", [1], 2),
        ("", [], 1),
        ("", [-7], 1),
        ("START 1 INCREMENT 2", [1, 10], 13),  # the even numbers are another server's
        ("START 2 INCREMENT 2", [1, 10], 12),
        ("INCREMENT -1 START -1", [-1, -9], -10),
        ("INCREMENT -5 START -5", [-7], -15),
        ("START 100", [7], 100),
    ],
)
def test_the_next_value_is_beyond_all_that_were_restored(
    target: Target, made: str, ids: list[int], expected: int
) -> None:
    target.conn.execute(
        f"CREATE SEQUENCE s {made}; CREATE TABLE t (id bigint PRIMARY KEY DEFAULT nextval('s'))"
    )
    target.write(t=[{"id": n} for n in ids])
    assert not target.load().tables[0].warnings
    assert next_value(target, "s") == expected


def test_a_sequence_that_two_tables_share_goes_behind_the_higher_one(target: Target) -> None:
    target.conn.execute(
        "CREATE SEQUENCE s; CREATE TABLE a (id int DEFAULT nextval('s'));"
        " CREATE TABLE b (id int DEFAULT nextval('s'))"
    )
    target.write(a=[{"id": 50}], b=[{"id": 20}])
    target.load()
    assert next_value(target, "s") == 51


def test_a_sequence_is_never_set_back(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id serial PRIMARY KEY); SELECT setval('t_id_seq', 900)")
    target.write(t=[{"id": 5}])
    target.load()
    assert next_value(target, "t_id_seq") == 901


def test_a_value_beyond_the_sequence_is_a_warning(target: Target) -> None:
    target.conn.execute(
        "CREATE SEQUENCE s MAXVALUE 100; CREATE TABLE t (id numeric DEFAULT nextval('s'))"
    )
    target.write(t=[{"id": 7}, {"id": 10**25}])
    report = target.load()
    assert report.error is None
    assert "sequence public.s of t.id ends at 100" in report.tables[0].warnings[0]
    assert next_value(target, "s") == 8


def test_a_sequence_that_only_makes_part_of_a_value_is_a_warning(target: Target) -> None:
    target.conn.execute("CREATE SEQUENCE s; CREATE DOMAIN number AS int")
    target.conn.execute(
        "CREATE TABLE t (id number DEFAULT nextval('s'), code text DEFAULT 'A' || nextval('s'))"
    )
    target.write(t=[{"id": 7, "code": "A12"}])
    report = target.load()
    assert report.complete
    assert "sequence public.s of t.code makes part of its values" in report.tables[0].warnings[0]
    assert next_value(target, "s") == 8


def test_a_sequence_at_its_end_says_so_when_it_is_asked(target: Target) -> None:
    target.conn.execute(
        "CREATE SEQUENCE s MAXVALUE 100 INCREMENT 3; CREATE TABLE t (id int DEFAULT nextval('s'))"
    )
    target.write(t=[{"id": 100}])
    target.load()
    assert target.rows("SELECT last_value FROM s") == [(100,)]


def test_a_sequence_that_the_role_may_not_set_is_a_warning(target: Target) -> None:
    target.conn.execute("CREATE SEQUENCE s; CREATE TABLE t (id int DEFAULT nextval('s'))")
    target.write(t=[{"id": 100}])
    with target.role() as name:
        target.conn.execute(f"GRANT SELECT, INSERT ON t TO {name}; GRANT USAGE ON s TO {name}")
        report = target.load()
    assert report.error is None
    assert report.tables[0].loaded == 1
    assert "sequence public.s of t.id is not set" in report.tables[0].warnings[0]


def test_sequences_are_set_after_a_load_that_failed_too(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE t (id serial PRIMARY KEY, n int);"
        " CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_read_file('/nowhere'); END $$;"
        " CREATE TRIGGER stop BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.n = 999)"
        " EXECUTE FUNCTION stop()"
    )
    target.write(t=[{"id": n, "n": n} for n in range(1000)])
    report = target.load(triggers=True, chunk_bytes=1024)
    assert report.error is not None
    last = target.rows("SELECT max(id) FROM t")[0][0]
    assert last > 500
    assert next_value(target, "t_id_seq") == last + 1
