"""Records are found by their keys in whatever usual form these stand in the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import hypothesis
import msgspec.structs
import pytest
from hypothesis import strategies as st

from restore.constraints.key_scan import is_plain, lookup_by_text
from restore.constraints.lookup import LoadedFile
from restore.decode.convert import Converter
from restore.decode.packer import IS_BUILT
from restore.plan.order import Load
from restore.rejects.writer import RejectFile
from restore.report.model import TableReport
from restore.report.reasons import Reason
from restore.source.discovery import TableFile
from restore.target.catalog import Column, Table, Type, UniqueKey

if TYPE_CHECKING:
    from pathlib import Path

    from restore.constraints.lookup import Values

ID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"


def column(name: str, kind: str, *, generated: bool = False) -> Column:
    return Column(name, Type(0, "pg_catalog", kind, "b"), False, False, generated)  # noqa: FBT003


def kept(folder: Path, records: list[Any], *columns: Column) -> LoadedFile:
    return kept_of(folder, list(map(json.dumps, records)), *columns)


def kept_of(folder: Path, records: list[str], *columns: Column) -> LoadedFile:
    path = folder / "t.json"
    path.write_text("[\n" + ",\n".join(records) + "\n]\n")
    table = Table(1, "public", "t", columns, (), (), ())
    report = TableReport(table="t", schema="public", file="t.json")
    rejects = RejectFile(folder / "rejects", "public", "t")
    return LoadedFile(Load(TableFile(path, "t", None), table), report, rejects, Converter())


def find(table: LoadedFile, wanted: dict[UniqueKey, list[Values]]) -> list[tuple[int, str, Values]]:
    """Find them in Python, and see that C finds the same."""
    found = _find(table, wanted)
    if IS_BUILT:
        assert _find(msgspec.structs.replace(table, native=True), wanted) == found
    return found


def _find(
    table: LoadedFile, wanted: dict[UniqueKey, list[Values]]
) -> list[tuple[int, str, Values]]:
    found = []
    for record, key, values in lookup_by_text(table, wanted, 64):
        with table.load.file.path.open("rb") as file:
            data = file.read()
        assert data[record.offset :].startswith(record.raw)
        found.append((record.ordinal, key.name, values))
    return found


def key(*columns: str) -> UniqueKey:
    return UniqueKey("+".join(columns), False, columns)  # noqa: FBT003


@pytest.mark.parametrize(
    ("kind", "texts", "values", "expected"),
    [
        ("int4", ["1", "3"], [1, "1", 2, 1.0, "x", None, 3], [0, 1, 3, 6]),
        ("int8", ["9223372036854775807"], [2**63 - 1, str(2**63 - 1), 2**63 - 2, True], [0, 1]),
        ("numeric", ["1.50", "2"], [1.5, "1.50", 1.51, 2, "2.000", [2]], [0, 1, 3, 4]),
        ("uuid", [ID], [ID, ID.upper(), ID[:-1] + "2", 7], [0, 1]),
        ("text", ["a", "5"], ["a", "A", 5, "5", {"a": 1}], [0, 2, 3]),
    ],
)
def test_forms_of_values(
    tmp_path: Path, kind: str, texts: list[str], values: list[Any], expected: list[int]
) -> None:
    """All of them stand in one batch: each that does not decode is read as the ladder reads it."""
    table = kept(tmp_path, [{"k": value, "z": [1]} for value in values], column("k", kind))
    found = find(table, {key("k"): [(text,) for text in texts]})
    assert [ordinal for ordinal, _, _ in found] == expected


def test_a_record_is_told_once_for_the_first_of_its_keys_and_no_reject_is(tmp_path: Path) -> None:
    columns = [column(name, "int4") for name in "abc"]
    records = [{"a": n % 3, "b": str(n), "c": n} for n in range(200)]
    table = kept(tmp_path, records, *columns)
    wanted: dict[UniqueKey, list[Values]] = {
        key("a", "b"): [("0", "3"), ("1", "3"), ("1", "10")],
        key("c"): [("3",), ("150",), ("7",)],
    }
    expected = [(3, "a+b", ("0", "3")), (7, "c", ("7",)), (10, "a+b", ("1", "10"))]
    assert find(table, wanted) == [*expected, (150, "c", ("150",))]
    record = next(iter(lookup_by_text(table, wanted, 64)))[0]
    with table.rejects:
        table.rejects.add(record, Reason(level="row", message="no"))
    assert find(table, wanted) == [*expected[1:], (150, "c", ("150",))]


def test_what_the_file_does_not_tell_is_not_looked_for(tmp_path: Path) -> None:
    columns = [column("a", "int4", generated=True), column("b", "timestamptz"), column("c", "int4")]
    table = kept(tmp_path, [{"a": 1, "b": "2024-01-01", "c": 1}], *columns)
    assert [is_plain(table, key(name)) for name in "abcd"] == [False, False, True, False]
    assert find(table, {key("a"): [("1",)], key("d"): [("1",)]}) == []


def test_a_key_may_be_written_in_odd_ways(tmp_path: Path) -> None:
    records = [
        r'{"a": 12, "b": "\u0078"}',
        r'{"\u0061": 12, "b": "x"}',
        '{"a": 1, "a": 12, "b": "x"}',
        '{"a": 12, "z": {"a": 1, "b": [[{}]]}, "b": "x", "y": "\\""}',
        '{"a": 12.0, "b": "x"}',
        '{"a": 1.2e1, "b": "x"}',
        '{ "b" : "x" , "a" : 12 }',
        '{"b": "x"}',
        '{"a": null, "b": "x"}',
        '{"a": [12], "b": "x"}',
        '{"a": -12, "b": "x"}',
        '{"a": 12, "b": null}',
        "{}",
    ]
    table = kept_of(tmp_path, records, column("a", "int4"), column("b", "text"))
    found = find(table, {key("a", "b"): [("12", "x")]})
    assert [ordinal for ordinal, _, _ in found] == [0, 1, 2, 3, 4, 5, 6]
    found = find(table, {key("a", "b"): [(None, "x"), ("12", None)]})
    assert [ordinal for ordinal, _, _ in found] == [7, 8, 9, 11]  # no integer is none
    assert len(find(table, {key("b"): [("x",)]})) == 11


FORMS = ["1", "-1", "0", "-0", "10", "1e1", "true", "null", "[]", '"1"', '"10"', '"a"', '"\\u0031"']
PAIRS = st.tuples(st.sampled_from(["a", "b", "z", "\\u0061"]), st.sampled_from(FORMS))
WANTED = st.sampled_from([None, "0", "1", "10", "-1"])


@hypothesis.given(st.data())
def test_c_finds_what_python_finds(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    pairs = data.draw(st.lists(st.lists(PAIRS, max_size=4), max_size=20))
    records = ["{" + ", ".join(f'"{n}": {v}' for n, v in each) + "}" for each in pairs]
    kinds = data.draw(st.tuples(*[st.sampled_from(["int4", "text"])] * 2))
    columns = [column(name, kind) for name, kind in zip("ab", kinds, strict=True)]
    table = kept_of(tmp_path_factory.mktemp("kept"), records, *columns)
    wanted = {
        key("a"): [(value,) for value in data.draw(st.lists(WANTED, max_size=2))],
        key("a", "b"): data.draw(st.lists(st.tuples(WANTED, WANTED), max_size=3)),
    }
    find(table, wanted)
