"""Many records that no COPY takes: what comes of them is what loading one by one gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from restore.load import isolation, splitting
from restore.load import multi_insert as inserting
from restore.load import sender as sending
from restore.load.row_insert import RecordLoader

if TYPE_CHECKING:
    from restore.source.records import Fields, RawRecord
    from restore.tests.support.target import Target

# Values that only the server reads, or that stand for no more than one record in most files.
LITERALS: dict[str, list[Any]] = {
    "boolean": ["yes", "t", "off", "true", None],
    "date": ["2024/01/31", "20240131", "January 8, 1999", "infinity"],
    "timestamp": ["2024-01-01 00:00:00 UTC", "2024/01/01 05:00 +03", "0001-01-01T00:00:00+05:00"],
    "timestamptz": ["2024-01-01 00:00:00 America/New_York", "9999-12-31T23:59:59-05:00"],
    "text[]": ["{a,b}", ["c", None, 'd"e'], "{}"],
    "pair": [{"a": 1, "b": "x,y"}, "(2,z)", {"a": None, "b": None}, {}],
    "pair[]": [[{"a": 1, "b": 'q"'}, None], ["(2,z)"], "{}"],
    "interval": ["1 day 2 hours", {"days": 1}],
    "numeric(10,2)": ["1.50", 2.0, "NaN"],
    "bytea": [{"type": "Buffer", "data": [0, 255]}, "aGVsbG8="],
    "jsonb": [{"a": [1, None]}, "text", 1, None],
    "money": ["$1,000.25", 3],
    "bit(3)": ["101"],
    "varchar(3)": ["abc", "ab"],
}


@pytest.fixture
def literals(target: Target) -> Target:
    """Sixty records with values in forms that no COPY takes, and a table for them."""
    target.conn.execute("CREATE TYPE pair AS (a int, b text)")
    columns = ", ".join(f"c{n} {type_}" for n, type_ in enumerate(LITERALS))
    target.conn.execute(f"CREATE TABLE t (id int PRIMARY KEY, {columns})")
    records = [
        {"id": n} | {f"c{m}": values[n % len(values)] for m, values in enumerate(LITERALS.values())}
        for n in range(60)
    ]
    target.write(t=records)
    return target


@pytest.fixture
def checked(target: Target) -> Target:
    """Three hundred records that two constraints refuse close together, then hardly any."""
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text CHECK (v <> 'bad'), w varchar(3) NOT NULL)"
    )
    records: list[dict[str, Any]] = [{"id": n, "v": "good", "w": "x"} for n in range(300)]
    for n in (0, 1, 2, 4, 7, 8, 9, 12, 200):
        records[n]["v"] = "bad"
    records[10]["id"] = 3
    records[5]["w"] = "long"
    records[6]["w"] = None
    target.write(t=records)
    return target


def outcome(target: Target, **options: Any) -> tuple[Any, ...]:
    """Restore; return rows, rejects without their places, and counts without levels."""
    report = target.load(clean=True, **options).tables[0]
    rejects = [
        (ordinal, reject["kind"], reject["message"], reject.get("sqlstate"), reject["offset"])
        for ordinal, reject in target.rejected("t").items()
    ]
    counts = report.read, report.loaded, report.rejected, report.duplicates
    reasons = sorted((r.reason, r.count, r.first_ordinal) for r in report.reasons)
    return target.rows("SELECT t::text FROM t ORDER BY id"), rejects, counts, reasons


def test_values_that_only_the_server_reads(
    literals: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = outcome(literals)
    assert together[2] == (60, 60, 0, 0)
    monkeypatch.setattr(inserting, "_FEW_ALONE", 1_000)
    assert outcome(literals) == together


def test_some_of_which_it_refuses(literals: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    literals.conn.execute("ALTER TABLE t ADD CHECK (id % 7 <> 3)")
    together = outcome(literals)
    assert together[2] == (60, 51, 9, 0)
    monkeypatch.setattr(inserting, "_FEW_ALONE", 1_000)
    assert outcome(literals) == together


def test_texts_with_nul_leave_the_others_together(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v text, p point)")
    texts = {n: "a\0b" if n % 4 == 1 else "a" for n in range(60)}
    target.write(t=[{"id": n, "v": text, "p": "(1,2)"} for n, text in texts.items()])
    alone: list[RawRecord] = []
    load = RecordLoader.load_fields

    def noted(loader: RecordLoader, record: RawRecord, fields: Fields) -> None:
        alone.append(record)
        load(loader, record, fields)

    monkeypatch.setattr(RecordLoader, "load_fields", noted)
    together = outcome(target)
    assert together[2] == (60, 45, 15, 0)
    assert alone == []
    monkeypatch.setattr(inserting, "_FEW_ALONE", 1_000)
    assert outcome(target) == together
    assert len(alone) == 15


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"atomic": True}, {"chunk_bytes": 1024}], ids=str)
def test_rows_that_are_refused_close_together(
    checked: Target, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    together = outcome(checked, **options)
    assert together[2] == (300, 288, 11, 1)
    monkeypatch.setattr(isolation, "_LONGEST_STRETCH", 0)
    monkeypatch.setattr(splitting, "SPARSE", 0)
    monkeypatch.setattr(splitting, "FIRST_STRETCH", 0)
    assert outcome(checked, **options) == together


@pytest.mark.parametrize("options", [{"append": True}, {"atomic": True}], ids=str)
def test_orphans_are_not_looked_for_one_by_one_with_copies(
    target: Target, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    target.conn.execute(
        "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1);"
        " CREATE TABLE t (id int PRIMARY KEY, parent int REFERENCES parent)"
    )
    target.write(t=[{"id": n, "parent": 1 if n % 20 else 2} for n in range(1_000)])
    copies: list[int] = []
    send = sending.Sender.send

    def counted(self: Any, sends: Any, *arguments: Any) -> Any:
        copies.append(len(sends))
        return send(self, sends, *arguments)

    monkeypatch.setattr(sending.Sender, "send", counted)
    report = target.load(**options).tables[0]
    assert (report.loaded, report.rejected) == (950, 50)
    assert list(target.rejected("t")) == list(range(0, 1_000, 20))
    assert len(copies) < 100, "ten for each orphan"


def test_an_error_that_may_not_be_of_a_record_is_looked_at_by_itself(checked: Target) -> None:
    checked.conn.execute(
        "CREATE FUNCTION look(v text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
        " IF v <> 'bad' THEN RETURN true; END IF; RETURN EXISTS (SELECT FROM nowhere); END $$;"
        "ALTER TABLE t ADD CONSTRAINT a CHECK (look(v))"
    )
    assert outcome(checked)[2] == (300, 288, 11, 1)
    assert checked.rejected("t")[0]["sqlstate"] == "42P01"


def test_a_limit_stops_where_it_would(checked: Target) -> None:
    report = checked.load(on_error="stop")
    assert report.error is not None
    assert (report.tables[0].loaded, report.tables[0].rejected) == (0, 1)
