"""Foreign keys that a partition has alone, that refer to one alone, or that it has from above."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from restore.constraints import orphans
from restore.tests.constraints.test_aside_schema import same, schema_of

if TYPE_CHECKING:
    from restore.tests.support.target import Target

# Names are used twice, keys refer to the own table, and a1, whose name is before that of its table,
# has columns in another order.
SCHEMA = """
    CREATE TABLE p (id int PRIMARY KEY);
    CREATE TABLE q (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE q1 PARTITION OF q FOR VALUES FROM (0) TO (100);
    CREATE TABLE q2 PARTITION OF q DEFAULT;
    CREATE TABLE c (id int PRIMARY KEY, p int, q int, up int, u int) PARTITION BY RANGE (id);
    CREATE TABLE a1 (u int, gone int, up int, q int, p int, id int PRIMARY KEY);
    ALTER TABLE a1 DROP COLUMN gone;
    ALTER TABLE c ATTACH PARTITION a1 FOR VALUES FROM (0) TO (500);
    CREATE TABLE c2 PARTITION OF c FOR VALUES FROM (500) TO (1000) PARTITION BY HASH (id);
    CREATE TABLE c2a PARTITION OF c2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE c2b PARTITION OF c2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    ALTER TABLE c ADD CONSTRAINT whole FOREIGN KEY (p) REFERENCES p;
    ALTER TABLE a1 ADD CONSTRAINT again FOREIGN KEY (p) REFERENCES p;
    ALTER TABLE a1 ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES p ON DELETE CASCADE
        DEFERRABLE INITIALLY DEFERRED;
    COMMENT ON CONSTRAINT fk ON a1 IS 'of a1 alone';
    ALTER TABLE a1 ADD CONSTRAINT never_valid FOREIGN KEY (up) REFERENCES p NOT VALID;
    ALTER TABLE c2 ADD CONSTRAINT fk FOREIGN KEY (q) REFERENCES q1 MATCH FULL;
    ALTER TABLE c2a ADD CONSTRAINT own FOREIGN KEY (up) REFERENCES c;
    ALTER TABLE c2b ADD CONSTRAINT own FOREIGN KEY (up) REFERENCES a1 ON DELETE SET NULL;
    CREATE UNIQUE INDEX ON a1 (u);
    ALTER TABLE a1 ADD CONSTRAINT positive CHECK (u >= 0);
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''fired''; END';
    CREATE TRIGGER loud BEFORE INSERT ON c2a FOR EACH ROW EXECUTE FUNCTION fail();
    CREATE TABLE d (id int PRIMARY KEY, q int REFERENCES q1, c int REFERENCES a1, t text);
    CREATE TABLE base (id int, p int);
    CREATE TABLE heir () INHERITS (base);
    ALTER TABLE heir ADD FOREIGN KEY (p) REFERENCES p;
"""
SINCE_18 = "ALTER TABLE a1 ADD CONSTRAINT said FOREIGN KEY (u) REFERENCES p NOT ENFORCED"


@pytest.fixture
def keyed(target: Target) -> Target:
    target.conn.execute(SCHEMA)
    if int(target.rows("SHOW server_version_num")[0][0]) >= 180_000:
        target.conn.execute(SINCE_18)
    return target


def write(target: Target, **changes: dict[int, dict[str, Any]]) -> None:
    """Write a sound backup, but for some fields of some records."""
    backup: dict[str, list[dict[str, Any]]] = {
        "p": [{"id": n} for n in range(20)],
        "q": [{"id": n} for n in range(200)],
        "c": [
            {"id": n, "p": n % 20, "q": 77, "up": n % 20 if n < 500 else n - 500, "u": n}
            for n in range(1000)
        ],
        "d": [{"id": n, "q": n % 100, "c": n % 500, "t": "x" * 100} for n in range(2000)],
        "base": [{"id": n, "p": 99} for n in range(5)],
        "heir": [{"id": n, "p": n} for n in range(5)],
    }
    for table, changed in changes.items():
        for number, fields in changed.items():
            backup[table][number] |= fields
    target.write(**backup)


BROKEN = {
    "c": {
        3: {"p": 99},
        600: {"q": 150},  # in q, but not in q1
        601: {"up": 5000},
        602: {"up": 3},  # which is rejected
    },
    "d": {5: {"q": 150}, 6: {"c": 600}, 7: {"c": 499}},
}
MODES = [(), ("--jobs", "1"), ("--append",), ("--atomic",), ("--keep-indexes",)]
CLEAN = [("--clean",), ("--clean", "--atomic")]


def check_broken(target: Target) -> None:
    """Check that each orphan is rejected with its reason, and nothing else."""
    constraints = {
        name: {at: each["constraint"] for at, each in target.rejected(name).items()}
        for name in ("c", "d")
    }
    assert constraints["c"].pop(3) in {"whole", "again", "fk"}
    assert constraints["c"] == {503: "own", 600: "fk", 601: "own", 602: "own"}
    assert constraints["d"] == {
        **dict.fromkeys((3, 503, 1003, 1503, 6), "d_c_fkey"),
        5: "d_q_fkey",
    }
    assert "Key (up)=(5000) is not there" in target.rejected("c")[601]["message"]


@pytest.mark.slow
@pytest.mark.parametrize("options", [*MODES, *CLEAN], ids=" ".join)
def test_sound_backups_and_orphans(keyed: Target, options: tuple[str, ...]) -> None:
    before = schema_of(keyed)
    write(keyed)
    output = keyed.restore(*options)
    assert "All restored" in output
    assert keyed.rows("SELECT count(*), count(DISTINCT tableoid) FROM c") == [(1000, 3)]
    same(schema_of(keyed), before)
    write(keyed, **BROKEN)
    if "--clean" not in options:
        keyed.conn.execute("TRUNCATE p, q, c, d, base, heir")
    keyed.restore(*options, exit_code=3)
    check_broken(keyed)
    same(schema_of(keyed), before)


def test_the_server_finds_the_records_of_orphans(
    keyed: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_MOST_VALUES", 0)
    write(keyed, **BROKEN)
    keyed.restore(exit_code=3)
    check_broken(keyed)


@pytest.mark.parametrize("columns", ["id", "(id + 0)"])
def test_rows_of_equal_keys_in_other_partitions_are_no_orphans(
    target: Target, columns: str
) -> None:
    """The columns of the partition key identify them; an expression does not."""
    target.conn.execute(
        f"CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int, p int, t text)"
        f" PARTITION BY RANGE ({columns});"
        " CREATE TABLE c1 PARTITION OF c FOR VALUES FROM (0) TO (10);"
        " CREATE TABLE c2 PARTITION OF c DEFAULT; ALTER TABLE c1 ADD FOREIGN KEY (p) REFERENCES p"
    )
    rows = [(11, 1), (1, 1), (1, 1), (2, 1), (11, 2), (3, 0), (12, None)]
    target.write(p=[{"id": 0}], c=[{"id": n, "p": p, "t": f"{n}"} for n, p in rows])
    target.restore(exit_code=3)
    assert target.rows("SELECT id FROM c ORDER BY 1") == [(3,), (11,), (11,), (12,)]
    assert target.counts()["c"]["rejected"] == 3
    if columns == "id":
        assert sorted(target.rejected("c")) == [1, 2, 3]


def test_a_dry_run_finds_the_same(keyed: Target) -> None:
    write(keyed)
    assert keyed.load(dry_run=True).complete
    write(keyed, **BROKEN)
    keyed.restore("--dry-run", exit_code=3)
    dry = keyed.counts()
    assert keyed.rows("SELECT count(*) FROM c") == [(0,)]
    keyed.restore(exit_code=3)
    check_broken(keyed)
    assert {name: each["loaded"] for name, each in dry.items()} == {
        name: each["loaded"] for name, each in keyed.counts().items()
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "place",
    [
        "schedule.table_state.TableState.note_loaded",
        "constraints.recreate.recreate_foreign_keys",
        "constraints.recreate._validate",
        "constraints.orphans.Orphans._keep_plain",
    ],
)
def test_a_killed_restore_is_resumed_or_repaired(keyed: Target, place: str) -> None:
    before = schema_of(keyed)
    write(keyed, **BROKEN)
    options = ("--rejects", str(keyed.rejects))
    keyed.kill(place, *options)
    keyed.restore("--resume", exit_code=3)
    check_broken(keyed)
    same(schema_of(keyed), before)
    write(keyed)
    keyed.conn.execute("TRUNCATE p, q, c, d, base, heir")
    if place != "constraints.orphans.Orphans._keep_plain":  # there are no orphans
        keyed.kill(place, *options)
        keyed.repair("--empty")
        same(schema_of(keyed), before)


def test_unique_indexes_and_checks_of_a_partition_hold(keyed: Target) -> None:
    write(keyed, c={10: {"u": 9}, 11: {"u": -1}, 700: {"u": -1}, 701: {"u": 9}})
    keyed.restore(exit_code=3)
    rejected = keyed.rejected("c")
    assert rejected[11]["constraint"] == "positive"
    [twin] = rejected.keys() & {9, 10}
    assert rejected.keys() == {11, 511, twin, twin + 500}  # others refer to these


PARTS = """
    CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
    CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (100);
    CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p, up int REFERENCES c)
        PARTITION BY RANGE (id);
    CREATE TABLE c1 PARTITION OF c FOR VALUES FROM (0) TO (500);
    CREATE TABLE c2 PARTITION OF c FOR VALUES FROM (500) TO (1000);
    CREATE TABLE c3 PARTITION OF c FOR VALUES FROM (1000) TO (2000);
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", MODES, ids=" ".join)
def test_partitions_with_files_of_their_own(target: Target, options: tuple[str, ...]) -> None:
    """Keys of the partitioned tables hold for them, and refer to one of them or another."""
    target.conn.execute(PARTS)
    before = schema_of(target)
    rows = [{"id": n, "p": n % 20, "up": 999 - n} for n in range(1000)]
    parents = [{"id": n} for n in range(20)]
    target.write(p1=parents[:10], p2=parents[10:], c1=rows[:500], c2=rows[500:])
    target.restore(*options)
    assert target.rows("SELECT count(*), count(DISTINCT tableoid) FROM c") == [(1000, 2)]
    same(schema_of(target), before)
    target.conn.execute("TRUNCATE p, c")
    rows[3] |= {"p": 99}
    target.write(c1=rows[:500])
    target.restore(*options, exit_code=3)
    assert [*target.rejected("c1")] == [3]
    assert [*target.rejected("c2")] == [496]
    same(schema_of(target), before)


def test_a_dry_run_of_partitions_with_files_of_their_own(target: Target) -> None:
    target.conn.execute(PARTS)
    target.write(p1=[{"id": 1}], c1=[{"id": 1, "p": 1}, {"id": 2, "p": 1}])
    report = target.load(dry_run=True)
    assert report.complete
    assert report.warnings == [
        f"foreign keys to {name}, of which only partitions are in the backup, are not seen"
        for name in ("c", "p")
    ]
