"""The documented rules for values, as the independent path applies them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.adopt.reader import Number, Special
from harness.adopt.values import Column, LostValueError, UndecidedError, encode

if TYPE_CHECKING:
    from harness.adopt.reader import Json

NUMERIC_5_2 = (5 << 16 | 2) + 4


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        (Column("c", "int4"), Number("12.0"), "12"),
        (Column("c", "int8"), Number("1.2e1"), "12"),
        (Column("c", "numeric", modifier=NUMERIC_5_2), Number("1.2500"), "1.2500"),
        (Column("c", "numeric"), Special("NaN"), "NaN"),
        (Column("c", "bytea"), "aGk", "\\x6869"),
        (Column("c", "bytea"), "_-8=", "\\xffef"),
        (Column("c", "bytea"), {"type": "Buffer", "data": [Number("72")]}, "\\x48"),
        (Column("c", "bytea"), {"0": Number("72"), "1": Number("73")}, "\\x4849"),
        (Column("c", "bytea"), {"$base64": True, "encoded": "SA=="}, "\\x48"),
        (Column("c", "date"), "2024-01-31T00:00:00Z", "2024-01-31"),
        (Column("c", "timestamp"), "2024-01-31T12:00:00.5+02:00", "2024-01-31 10:00:00.5"),
        (Column("c", "timestamptz", modifier=3), "2024-01-31 12:00:00.123000", None),
        (Column("c", "timestamp"), "0001-01-02T00:00:00-01:00", "0001-01-02 01:00:00.0"),
        (Column("c", "interval"), {"days": Number("1"), "hours": Number("2")}, "1 days 2 hours"),
        (Column("c", "bytea", is_array=True), ["SA==", None], ["\\x48", None]),
    ],
)
def test_a_value_is_converted_as_documented(column: Column, value: Json, expected: Json) -> None:
    found = column.convert(value)
    assert found == (expected if expected is not None else "2024-01-31 12:00:00.123000")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Column("c", "int4"), Number("1.5")),
        (Column("c", "numeric", modifier=NUMERIC_5_2), Number("1.255")),
        (Column("c", "text"), {"a": None}),
        (Column("c", "varchar", modifier=4 + 3), "ab  "),
        (Column("c", "text"), Special("NaN")),
        (Column("c", "date"), "2024-01-31T12:00:00Z"),
        (Column("c", "timestamptz"), "now"),
        (Column("c", "timestamp", modifier=0), "2024-01-31T12:00:00.5"),
        (Column("c", "time"), "12:00+02"),
        (Column("c", "bytea"), "no base64!"),
    ],
)
def test_a_value_that_would_change_is_lost(column: Column, value: Json) -> None:
    with pytest.raises(LostValueError):
        column.convert(value)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Column("c", "bytea"), "deadbeef"),
        (Column("c", "interval"), Number("5")),
        (Column("c", "timestamp"), "31/12/2024"),
        (Column("c", "point"), {"x": Number("1"), "y": Number("2")}),
    ],
)
def test_what_is_not_certain_is_undecided(column: Column, value: Json) -> None:
    with pytest.raises(UndecidedError):
        column.convert(value)


def test_numbers_are_instants_of_the_one_unit_that_fits_all() -> None:
    column = Column("c", "timestamptz")
    for value in (Number("1700000000123"), Number("1600000000000")):
        column.see(value)
    column.settle()
    assert column.convert(Number("1700000000123")) == "2023-11-14 22:13:20.123Z"
    doubtful = Column("c", "timestamptz")
    doubtful.see(Number("70000000000"))  # of 1972 in ms, of 4188 in s
    with pytest.raises(UndecidedError, match="s or ms"):
        doubtful.settle()


def test_strings_are_documents_if_all_of_them_hold_one() -> None:
    documents, words, both = (Column("c", "jsonb") for _ in range(3))
    for column, values in ((documents, ['{"a": 1.50}', "[]"]), (words, ["a"]), (both, ["a", "[]"])):
        for value in values:
            column.see(value)
    documents.settle()
    words.settle()
    assert encode(documents.convert('{"a": 1.50}')) == '{"a": 1.50}'
    assert words.convert("a") == "a"
    with pytest.raises(UndecidedError):
        both.settle()
