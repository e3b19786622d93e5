"""Duplicates that are isolated by sets are those that the server names record by record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import strategies as st

from restore import LoadError, Options
from restore.constraints import duplicates as module
from restore.constraints.duplicates import resolve_duplicates
from restore.constraints.lookup import LoadedFile
from restore.decode.convert import Converter
from restore.decode.shapes import ShapeLearner
from restore.journal.checkpoints import NoCheckpoints
from restore.load.bulk_copy import BulkMode
from restore.load.ladder import Ladder
from restore.load.shard_context import ShardContext
from restore.load.table_loader import TableLoader
from restore.load.upsert import make_destination
from restore.plan.order import Load
from restore.rejects.limits import RejectLimits
from restore.rejects.writer import RejectFile
from restore.report.model import TableReport
from restore.source.discovery import TableFile
from restore.source.shards import Shard
from restore.target.catalog import read_tables
from restore.target.indexes import UniqueKeyDefinition
from restore.tests.support.examples import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from restore.source.records import RawRecord
    from restore.tests.support.target import Target

CHUNK_BYTES = 1024
TYPES = """
    CREATE TYPE size AS ENUM ('s', 'm', 'l');
    CREATE SCHEMA restore_journal
"""
UNIQUE = """
    SELECT c.relname, pg_get_indexdef(c.oid), pg_get_constraintdef(k.oid), 0 = ANY(i.indkey),
           ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(num, ord)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.num ORDER BY ord),
           ARRAY(SELECT pg_get_indexdef(c.oid, n, false)
                 FROM generate_series(1, i.indnkeyatts) n ORDER BY n),
           pg_get_expr(i.indpred, i.indrelid),
           COALESCE((to_jsonb(i)->>'indnullsnotdistinct')::boolean, false)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.contype IN ('p', 'u')
    WHERE i.indrelid = 't'::regclass AND i.indisunique ORDER BY c.oid
"""


@dataclass(frozen=True)
class Outcome:
    """What became of each record: those in the table, and the reasons of those in the rejects."""

    rows: list[Any]
    rejects: list[dict[str, Any]]
    counts: dict[str, Any]


class Table:
    """Table ``t`` of a target, made anew, and a file for it."""

    def __init__(self, target: Target, columns: str, indexes: str = "") -> None:
        self.conn = target.conn
        self.conn.execute("SET synchronous_commit = off; SET restore.search_path = public")
        self.conn.execute(f"DROP TABLE IF EXISTS t; CREATE TABLE t (at int, {columns}); {indexes}")
        [(oid,)] = self.conn.execute("SELECT 't'::regclass::oid").fetchall()
        self.table = read_tables(self.conn, [oid])[oid]
        self.path = target.backup / "t.json"
        self.folder = target.rejects
        self.options = Options(backup=target.backup, dsn=target.dsn, chunk_bytes=CHUNK_BYTES)

    def write(self, records: Iterable[dict[str, Any] | str]) -> None:
        """Write the file; each record gets its number."""
        texts = [
            json.dumps({"at": n} | r) if isinstance(r, dict) else r for n, r in enumerate(records)
        ]
        self.path.write_text("[\n" + ",\n".join(texts) + "\n]\n", encoding="utf-8")

    def in_order(self) -> Outcome:
        """Load with the keys in place."""
        return self._load(lambda _: True)[0]

    def by_sets(self, *, aside: str = "") -> Outcome | None:
        """Load with the keys aside, in another order, then isolate; None: it could not be done.

        Args:
            aside: the one key that is aside; empty: all.
        """
        keys, build = self._put_aside(aside)

        def isolate(kept: LoadedFile) -> bool:
            self.conn.execute("UPDATE t SET at = at WHERE at % 3 = 0")  # they go to the end
            before = kept.report.read
            done = self.isolate(kept, keys, build)
            assert kept.report.read == before == kept.report.accounted
            return done

        outcome, done = self._load(isolate)
        return outcome if done else None

    def isolate(
        self, kept: LoadedFile, keys: list[UniqueKeyDefinition], build: Callable[[], None]
    ) -> bool:
        outcome = resolve_duplicates(
            *(self.conn, kept, keys),
            build=build,
            reload=self.ladder(kept).reload_records,
            chunk_bytes=CHUNK_BYTES,
            schema="restore_journal",
        )
        return outcome == "resolved"

    def ladder(self, kept: LoadedFile) -> Ladder:
        return Ladder(
            *(self.conn, self.table),
            destination=make_destination(self.conn, self.table, self.options, None),
            converter=kept.converter,
            shapes=ShapeLearner(self.table, kept.converter),
            options=self.options,
            rejects=kept.rejects,
            report=kept.report,
            limits=RejectLimits(self.options, lambda: [kept.report]),
            log=NoCheckpoints(self.conn, self.table.oid, None),
        )

    def _put_aside(self, only: str) -> tuple[list[UniqueKeyDefinition], Callable[[], None]]:
        keys, back = [], []
        for (
            name,
            index,
            constraint,
            expressions,
            columns,
            terms,
            predicate,
            nulls,
        ) in self.conn.execute(UNIQUE).fetchall():
            if only not in {"", name}:
                continue
            plain = None if expressions else tuple(columns)
            keys.append(UniqueKeyDefinition(name, plain, tuple(terms), predicate, nulls))
            made = f"ALTER TABLE t ADD CONSTRAINT {name} {constraint}" if constraint else index
            back.append(made)
            drop = f"ALTER TABLE t DROP CONSTRAINT {name}" if constraint else f"DROP INDEX {name}"
            self.conn.execute(drop)

        def build() -> None:
            for made in back:
                self.conn.execute(made)

        return keys, build

    def _load(self, then: Callable[[LoadedFile], bool]) -> tuple[Outcome, bool]:
        self.conn.execute("TRUNCATE t")
        load = Load(TableFile(self.path, "t", None), self.table)
        report = TableReport(table="t", schema="public", file="t.json")
        path = self.folder / "t.jsonl"
        path.unlink(missing_ok=True)
        with RejectFile(self.folder, "public", "t") as rejects:
            limits = RejectLimits(self.options, lambda: [report])
            loader = TableLoader(self.conn, load, options=self.options, limits=limits)
            loader.run(ShardContext(Shard(), report, rejects, lambda _: None, BulkMode()))
            done = then(LoadedFile(load, report, rejects, Converter()))
        rows = self.conn.execute("SELECT * FROM t ORDER BY at").fetchall()
        lines = path.read_text().splitlines() if path.exists() else []
        if done:
            assert (report.loaded, report.duplicates + report.rejected) == (len(rows), len(lines))
        counts = {name: getattr(report, name) for name in ("read", "duplicates", "unknown_fields")}
        return Outcome(
            rows, sorted(map(json.loads, lines), key=lambda r: r["ordinal"]), counts
        ), done

    def check(self) -> None:
        """See that both ways come out the same."""
        expected = self.in_order()
        assert expected.counts["duplicates"], "the test needs a duplicate"
        assert self.by_sets() == expected
        left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'restore_journal'::regnamespace"
        assert self.conn.execute(left).fetchall() == [(0,)]


@pytest.fixture
def typed(target: Target) -> Target:
    """A target with some types, and the schema for what is aside."""
    target.conn.execute(TYPES)
    return target


UUID = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A{:02}"
FOUND: dict[str, tuple[str, list[Any]]] = {
    "numbers": ("int", [1, 2, 1, 3, 2, 2]),
    "numbers as strings": ("bigint", [1, "2", "1", 3, 2, "2", "9007199254740993"]),
    "numbers of another spelling": ("int", [1, 1.0, 2, "x", 2.0]),
    "UUIDs": ("uuid", [*(UUID.format(n % 5).lower() for n in range(9)), UUID.format(2)]),
    "texts": ("text", ["a", "b", "a", "A", "", "", None, None, "\\n\u00e9", "\\n\u00e9", 5, "5"]),
    "decimals": ("numeric(10,2)", [1, 1.5, "1.50", 2, "2.0", 1.0]),
    "labels": ("size", ["s", "m", "s", "l", "huge", "l"]),
}


@pytest.mark.parametrize("kind", FOUND)
def test_keys_of_many_types_are_found_in_the_file(typed: Target, kind: str) -> None:
    name, values = FOUND[kind]
    table = Table(typed, f"k {name} UNIQUE, z int")
    table.write([{"k": value, "extra": 1} for value in values])
    table.check()


def test_another_key_finds_records_of_a_key_that_stands_otherwise_in_the_file(
    typed: Target,
) -> None:
    table = Table(
        *(typed, "id int PRIMARY KEY, seen timestamptz UNIQUE, word text"),
        "CREATE UNIQUE INDEX t_word ON t (lower(word)) WHERE 600 / (id - 2) > 20",
    )
    seen = ["2024-01-01T00:00:00Z", "2024-01-01 01:00:00+01", "2024-01-01T00:00:00.000Z", None]
    words = ["a", "B", "c", "A", "d", "b", "b", "C"]
    records = [{"id": n + 3, "word": word} for n, word in enumerate(words)]
    records += [{"id": n + 30, "seen": at} for n, at in enumerate(seen)]
    table.write(records)
    assert [r["ordinal"] for r in table.in_order().rejects] == [3, 5, 6, 7, 9, 10]
    table.check()
    table.write([*records, {"id": 2, "word": "a division by zero"}])
    assert table.in_order().rejects[-1]["sqlstate"] == "22012"
    assert table.by_sets() is None


NOT_FOUND: dict[str, tuple[str, list[Any]]] = {
    "UUIDs in braces": ("uuid UNIQUE", [f"{{{UUID.format(1)}}}", UUID.format(1)]),
    "times": ("timestamptz UNIQUE", ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"]),
    "a default": ("int UNIQUE DEFAULT 7", [1, 7, ...]),
    "generated": ("int, g int GENERATED ALWAYS AS (k / 2) STORED UNIQUE", [4, 5]),
    "a number out of range for its form": ("int UNIQUE", ["+1", "1"]),
}


@pytest.mark.parametrize("kind", NOT_FOUND)
def test_what_is_not_found_in_the_file_is_left_to_the_caller(typed: Target, kind: str) -> None:
    name, values = NOT_FOUND[kind]
    table = Table(typed, f"k {name}")
    table.write([{"k": value} if value is not ... else {} for value in values])
    assert table.in_order().counts["duplicates"] == 1
    assert table.by_sets() is None


# Few values, so that they meet in one key and in several.
few = st.integers(1, 4)
sound = st.fixed_dictionaries(
    {"id": st.integers(1, 12)},
    optional={
        "code": st.sampled_from(["a", "b", "c", "d", "e", "f", None]),
        "a": few | st.none(),
        "b": st.sampled_from(["x", "y", None]),
        "p": few | st.none(),
        "live": st.booleans(),
        "n": few | st.none(),
        "m": few | st.none(),
    },
)
odd: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{"id": None}, {"id": "7"}, {"id": 7.0}, {"id": 1.5}, {"code": 5}, {"p": -1}, {"unknown": 1}]
)
records = st.lists(
    st.one_of(
        sound,
        sound,
        sound,
        st.tuples(sound, odd).map(lambda pair: pair[0] | pair[1]),
        st.just('{"at": 1, "id": tru}'),
    ),
    max_size=60,
)


@pytest.mark.slow
@hypothesis.settings(
    max_examples=examples(30),
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(records=records)
def test_the_same_rows_and_the_same_rejects_as_record_by_record(
    typed: Target, records: list[dict[str, Any] | str]
) -> None:
    table = Table(
        typed,
        "id int PRIMARY KEY, code text UNIQUE, a int, b text, p int CHECK (p > 0), live boolean,"
        " n int, m int, UNIQUE (a, b)",
        "CREATE UNIQUE INDEX t_live ON t (p) WHERE live;"
        f"CREATE UNIQUE INDEX t_nulls ON t (n, m, (lower(code))) {nulls(typed)}",
    )
    table.write(records)
    expected = table.in_order()
    found = table.by_sets()
    if found is None:  # the keys are found wherever there is something to find
        assert not expected.counts["duplicates"]
        return
    assert found == expected


def nulls(target: Target) -> str:
    return "NULLS NOT DISTINCT" if target.conn.info.server_version >= 150_000 else ""


def test_more_than_is_held_in_memory_is_left_to_the_caller(
    typed: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table(typed, "id int PRIMARY KEY, word text UNIQUE")
    words = [{"id": n, "word": f"{n % 10}" * 500} for n in range(20)]
    table.write(words)
    table.check()
    monkeypatch.setattr(module, "MOST_ROWS", 19)
    assert table.by_sets() is None
    assert len(table.conn.execute("SELECT FROM t").fetchall()) == 20, "nothing has left the table"
    monkeypatch.setattr(module, "MOST_ROWS", 20)
    table.conn.execute("DROP TABLE t")
    table = Table(typed, "word text UNIQUE")
    monkeypatch.setattr(module, "_MOST_VALUE_BYTES", 5_000)
    assert table.by_sets() is None
    assert len(table.conn.execute("SELECT FROM t").fetchall()) == 20, "nothing has left the table"


@pytest.mark.slow
def test_large_records_wait_in_a_file(typed: Target) -> None:
    table = Table(typed, "id int PRIMARY KEY, body text")
    table.write([{"id": n % 6, "body": f"{n}" * 400_000} for n in range(12)])
    table.check()


def test_a_load_that_stops_meanwhile_counts_what_is_decided(
    typed: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table(typed, "id int PRIMARY KEY")
    table.write([{"id": n} for n in (1, 2, 1, 3, 2)])
    seen: list[TableReport] = []

    def isolate(
        kept: LoadedFile, keys: list[UniqueKeyDefinition], build: Callable[[], None]
    ) -> bool:
        seen.append(kept.report)
        again = table.ladder(kept).reload_records

        def reload(records: Iterable[RawRecord]) -> None:
            for record in records:
                if record.ordinal == 2:
                    raise LoadError("enough")
                again([record])

        outcome = resolve_duplicates(
            *(table.conn, kept, keys),
            build=build,
            reload=reload,
            chunk_bytes=CHUNK_BYTES,
            schema="restore_journal",
        )
        return outcome == "resolved"

    monkeypatch.setattr(table, "isolate", isolate)
    with pytest.raises(LoadError, match="enough"):
        table.by_sets()
    assert (seen[0].read, seen[0].loaded, seen[0].duplicates) == (3, 3, 0)
    assert len(table.conn.execute("SELECT FROM t").fetchall()) == 3


def test_what_another_key_refused_in_place_is_left_to_the_caller(typed: Target) -> None:
    """The last record is refused for the sake of the second, which would not have been there."""
    table = Table(typed, "a int UNIQUE, b int UNIQUE")
    table.write([{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 2}])
    assert [r["ordinal"] for r in table.in_order().rejects] == [1]
    assert table.by_sets(aside="t_a_key") is None
    table = Table(typed, "a int UNIQUE, r int4range, EXCLUDE USING gist (r WITH &&)")
    table.write([{"a": 1, "r": "[1,3)"}, {"a": 1, "r": "[4,6)"}, {"a": 2, "r": "[5,7)"}])
    assert [r["ordinal"] for r in table.in_order().rejects] == [1]
    assert table.by_sets() is None


# By name and what it compares with 0.
COMPARES = {"|<": "<", "|<=": "<=", "|=": "=", "|>=": ">=", "|>": ">"}
ODD_EQUALITY = """
    CREATE FUNCTION by_width(box, box) RETURNS int LANGUAGE sql IMMUTABLE
        AS 'SELECT (width($1) > width($2))::int - (width($1) < width($2))::int';
"""
for number, (name, sign) in enumerate(COMPARES.items()):
    ODD_EQUALITY += f"""
    CREATE FUNCTION box_{number}(box, box) RETURNS bool LANGUAGE sql IMMUTABLE
        AS 'SELECT by_width($1, $2) {sign} 0';
    CREATE OPERATOR {name} (FUNCTION = box_{number}, LEFTARG = box, RIGHTARG = box);
    """
ODD_EQUALITY += """
    CREATE OPERATOR CLASS by_width DEFAULT FOR TYPE box USING btree AS OPERATOR 1 |<,
        OPERATOR 2 |<=, OPERATOR 3 |=, OPERATOR 4 |>=, OPERATOR 5 |>, FUNCTION 1 by_width(box, box)
"""


def test_a_key_compares_by_its_own_operator_whatever_the_equals_sign_means(typed: Target) -> None:
    """As that of citext, whose schema may be off the search path."""
    typed.conn.execute(ODD_EQUALITY)
    table = Table(typed, "id int PRIMARY KEY, k box UNIQUE")
    boxes = ["(1,1),(0,0)", "(1,2),(0,0)", "(2,2),(0,0)", "(1,1),(0,0)"]
    table.write([{"id": n, "k": k} for n, k in enumerate(boxes)])
    assert table.in_order().counts["duplicates"] == 2
    assert table.by_sets() == table.in_order()
