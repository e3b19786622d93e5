"""Long runs of the same bytes after damage: each byte is looked at a limited number of times.

Each file here would take minutes if the time grew with the square of its size.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import msgspec
import pytest

from restore.source.bare_numbers import with_bare_numbers
from restore.source.envelope import read_envelope
from restore.source.formats.paths import column_names
from restore.source.formats.psql import TABLE
from restore.source.layout import detect_layout
from restore.source.shards import cut_into_shards
from restore.source.table_file import TableFile
from restore.tests.source.test_read import read

if TYPE_CHECKING:
    from pathlib import Path

LINES = b'{"id":1,"f":1}\n{"id":2,"f"'
GAPS = (b"\n", b"\r\n", b" " * 1023 + b"\n", b"\n\xef\xbb\xbf", b",\n", b" ,")


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize(
    "start", [LINES, b'[{"id":1,"f":1},{"id":2,"f"', b'[\n  {"id":1,"f":1},\n  {"id":2,"f"']
)
def test_a_gap_after_damage(start: bytes, gap: bytes) -> None:
    records, damaged, _ = read(start + b"\n" + gap * ((1 << 20) // len(gap)), 1 << 18)
    assert records == [{"id": 1, "f": 1}]
    assert damaged[0].record.raw.startswith(b'{"id":2,"f"')


def test_a_record_behind_a_gap_after_damage() -> None:
    data = LINES + b"\n \r\n,\n" * 1000 + b'{"id":3,"f":3}\n'
    records, damaged, _ = read(data, 1 << 18)
    assert records == [{"id": 1, "f": 1}, {"id": 3, "f": 3}]
    assert [damage.record.raw for damage in damaged] == [b'{"id":2,"f"']


def test_records_without_anything_between() -> None:
    data = b'{"id":1}\n' + b'{"a":1}' * 100_000
    records, damaged, _ = read(data, 1 << 20)
    assert len(records) == 100_001
    assert not damaged


def test_a_number_at_the_end_of_much_damage() -> None:
    data = b'{"id":1}\n' + b'{"id":oops}\n' * 20_000 + b'{"id":' + b"1" * 300_000
    records, damaged, reader = read(data, 1 << 20)
    assert len(records) == 1
    assert len(damaged) == 20_001
    assert reader.cut_off_at == len(data)


ESCAPES = b'"' + b'\\"' * 300_000


def test_quotes_in_a_string_without_an_end() -> None:
    assert with_bare_numbers(b'{"id":NaN,"n":' + ESCAPES) is None


def test_quotes_in_a_string_of_the_first_record() -> None:
    start = b'{"id":1,"n":' + ESCAPES + b'"}'
    assert detect_layout(start, b"", section=True).keys == {b"id", b"n"}


def test_quotes_in_damage_before_a_list(tmp_path: Path) -> None:
    path = tmp_path / "backup.json"
    path.write_bytes(b'{"a":[{"id":1}],oops ' + ESCAPES + b'","b":[{"id":2}]}')
    with contextlib.closing(TableFile(path, "backup", None).open()) as stream:
        found = read_envelope(stream)
    assert found is not None
    assert [section.key for section in found.sections] == ["a", "b"]


def test_many_names_of_columns() -> None:
    names = [f"c{n}" for n in range(50_000)]
    assert column_names(msgspec.json.encode(names)) == names


def test_signs_that_are_no_line_breaks_of_psql() -> None:
    data = b" row_to_json \n-------------\n" + b'{"id":1}' + b"+" * (4 << 20) + b"\n(1 row)\n"
    assert len(list(TABLE.records(io.BytesIO(data), None))) == 2


def test_nested_records_at_the_border_of_a_shard(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    first = [b'{"id":%d,"f":1}' % n for n in range(10)]
    nested = b'{"id":0,"in":[{},' * 10_000 + b"{}" + b"]}" * 10_000
    path.write_bytes(b"[" + b",".join([*first, nested, *first]) + b"]")
    assert list(cut_into_shards(TableFile(path, "t", None), 1 << 14))
