"""Which type takes some JSON values, and gives them back unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from restore.tests.infer.folder import columns, inferred, keys, write

if TYPE_CHECKING:
    from pathlib import Path

UUID = '"0b0e4e0c-7a52-4e6f-9c0f-2f2b5a1f0d11"'


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2"], "integer"),
        (["2147483647", "-2147483648"], "integer"),
        (["2147483648"], "bigint"),
        (["-9223372036854775808", "9223372036854775807"], "bigint"),
        (["9223372036854775808"], "numeric"),
        (["9" * 5000], "numeric"),
        (["9" * 131_072], "numeric"),
        (["1", "9" * 131_073], "json"),
        (["1.50", "2"], "numeric"),
        (["0.1", "48.137154"], "numeric"),
        (["0.30000000000000004", "1"], "double precision"),
        (["1e10", "2.5"], "double precision"),
        (["-0.0"], "double precision"),
        (["1.0000000000000000001"], "numeric"),
        (["0.30000000000000004", "9007199254740993"], "numeric"),
        (["0.30000000000000004", "1.10"], "double precision"),
        (["1e400"], "numeric"),
        (["1e131071"], "numeric"),
        (["1e131072"], "json"),
        (["1e-16383"], "numeric"),
        (["1e-16384"], "json"),
        (["1e99999999999999999999"], "json"),
        (["NaN", "1.5"], "double precision"),
        (["-Infinity", "1"], "double precision"),
        (["NaN", "1.0000000000000000001"], "numeric"),
        (["true", "false"], "boolean"),
        (["true", "1"], "jsonb"),
        (['"a"', "1"], "jsonb"),
        (['"00123"', '"7"'], "text"),
        (['""'], "text"),
        ([r'"a\u0000"', '"b"'], "json"),
        ([r'"a\\u0000\n"'], "text"),
        ([UUID], "uuid"),
        ([UUID, UUID.upper()], "text"),
        ([UUID, '""'], "text"),
        ([UUID, r'"\n"'], "text"),
        (['"2024-02-29"'], "date"),
        (['"2024-02-29"', '"2023-02-29"'], "text"),
        (['"0000-01-01"'], "text"),
        (['"2024-01-31 10:00:00"', '"2024-01-31T10:00:00.123456"'], "timestamp"),
        (['"2024-01-31T10:00:00"', '"2024-01-31"'], "text"),
        (['"2024-01-31T10:00:00Z"', '"2024-01-31 10:00:00.5+05:30"'], "timestamptz"),
        (['"2024-01-31T10:00:00.1234567Z"'], "text"),
        (['"2024-01-31T10:00:00.1234560Z"'], "timestamptz"),
        (['"2024-01-31T10:00:00Z"', '"2024-01-31T10:00:00"'], "text"),
        (['"2024-01-31T24:00:00Z"'], "text"),
        (['"2024-01-31T10:00:00+15:00"'], "text"),
        (['"0001-01-01T00:00:00+01:00"'], "text"),
        ([r'"\\x48656c6c6f"', r'"\\x"'], "bytea"),
        ([r'"\\x48656C"'], "text"),
        ([r'"\\x4"'], "text"),
        (['"aGVsbG8="'], "text"),
        (['{"type": "Buffer", "data": [72, 255]}'], "bytea"),
        (['{"type": "Buffer", "data": [72, 256]}'], "jsonb"),
        (['{"type": "Buffer", "data": [true]}'], "jsonb"),
        (['{"type": "Buffer", "data": [72]}', "{}"], "jsonb"),
        (['{"a": [1, {"b": null}]}'], "jsonb"),
        ([r'{"a": ["\u0000"]}'], "json"),
        ([r'{"\u0000": 1}'], "json"),
        (['{"a": 1e200000}'], "json"),
        (['{"a": "1e200000"}'], "jsonb"),
        (['{"a": 1e-20000}'], "json"),
        ([f'{{"a": {"9" * 4301}}}'], "json"),
        (["[" * 2000 + "]" * 2000], "json"),
        (["[1, null, 2]", "[]"], "integer[]"),
        (["[1, 3000000000]"], "bigint[]"),
        (["[1, 1.5]"], "numeric[]"),
        (['["a", null]'], "text[]"),
        ([f"[{UUID}]"], "uuid[]"),
        (['["2024-01-31T10:00:00Z"]'], "timestamptz[]"),
        (["[true]"], "boolean[]"),
        (["[]", "[null]"], "jsonb"),
        (["[1]", '["a"]'], "jsonb"),
        (["[[1], [2]]"], "jsonb"),
        (["[1, {}]"], "jsonb"),
        ([r'["\u0000"]'], "json"),
        ([r'["\\x48"]'], "jsonb"),
        (["[1]", "{}"], "jsonb"),
        (["null", "null"], "text"),
    ],
)
def test_the_type_of_values(values: list[str], expected: str, tmp_path: Path) -> None:
    lines = ", ".join(f'{{"n": {n}, "v": {value}}}' for n, value in enumerate(values))
    found = columns(inferred(write(tmp_path, t=f"[{lines}]")), "t")
    assert found["v"].removesuffix(" NOT NULL") == expected
    # The same, if they come one by one.
    found = columns(inferred(tmp_path, chunk_bytes=4096), "t")
    assert found["v"].removesuffix(" NOT NULL") == expected


def test_a_column_is_not_null_if_every_record_fills_it(tmp_path: Path) -> None:
    records = [{"a": 1, "b": 1, "c": 0}, {"b": None, "c": False}, {"a": 3, "b": 2, "c": ""}]
    found = inferred(write(tmp_path, t=records))
    assert columns(found, "t") == {"a": "integer", "b": "integer", "c": "jsonb NOT NULL"}
    [table] = found.tables
    assert table.columns[0].why == "2 integers from 1 to 3; null or absent in 1 of 3 records"
    assert table.columns[2].why == "1 boolean and 1 integer and 1 text"


def test_the_type_is_of_all_values_not_of_the_first(tmp_path: Path) -> None:
    records = [{"n": n, "v": n, "w": str(n)} for n in range(5_000)]
    records[-1] |= {"v": 2**40, "w": None, "late": 1.5}
    found = columns(inferred(write(tmp_path, t=records), chunk_bytes=8192), "t")
    assert found == {
        "n": "integer NOT NULL",
        "v": "bigint NOT NULL",
        "w": "text",
        "late": "numeric",
    }


def test_a_sample_says_that_it_is_one(tmp_path: Path) -> None:
    records = [{"id": n, "v": 1} for n in range(99)] + [{"id": 99, "v": "x"}]
    write(tmp_path, t=records, few=[{"id": 1, "t_id": 0}])
    found = inferred(tmp_path, sample=10)
    assert columns(found, "t") == {"id": "integer NOT NULL", "v": "integer NOT NULL"}
    [few, table] = found.tables
    assert table.records == 10
    assert table.notes == ["a sample: other records may not fit, or lack what these have"]
    assert few.notes == []
    assert keys(found) == ["few.id", "t.id"]
