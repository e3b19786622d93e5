"""Text around the records, several arrays in one file, cut lines: no whole record is lost."""

from __future__ import annotations

import io
import itertools
import json
from typing import TYPE_CHECKING, Any

import memray
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore.source.reader import Reader
from restore.source.table_stream import Span
from restore.tests.source.test_read import (
    RECORDS,
    _decode,
    compact,
    json_lines,
    lines,
    pretty,
    read,
)

if TYPE_CHECKING:
    from pathlib import Path

MANY = [{"id": n, "text": "},{[" * (n % 3), "in": [{"x": n}]} for n in range(5000)]
CHUNKS = (300, 1000, 1 << 19)
ARRAYS = (json.dumps, compact, lines, pretty)


def _bytes(style: Any, records: list[Any]) -> bytes:
    text = style(records)
    return text.encode() if isinstance(text, str) else text.strip()


def _raws(damaged: list[Any]) -> list[bytes]:
    return [damage.record.raw for damage in damaged]


@pytest.mark.slow
@pytest.mark.parametrize("chunk_bytes", CHUNKS)
@pytest.mark.parametrize("style", ARRAYS)
@pytest.mark.parametrize(
    ("before", "after", "garbage"),
    [
        (b"// generated\n", b"", [b"// generated"]),
        (b"Exporting [all]...\n", b"", [b"Exporting [all]..."]),
        (b"[info] starts\n", b"", [b"[info] starts"]),
        (b"var t = ", b";\n", [b"var t =", b";"]),
        (b"\xef\xbb\xbf \n/* x */", b"\n", [b"/* x */"]),
    ],
)
def test_text_around_an_array_costs_no_record(
    before: bytes, after: bytes, garbage: list[bytes], style: Any, chunk_bytes: int
) -> None:
    records, damaged, reader = read(before + _bytes(style, MANY) + after, chunk_bytes)
    assert records == MANY
    assert _raws(damaged) == garbage
    assert "before the array" in damaged[0].reason
    assert reader.cut_off_at is None


@pytest.mark.parametrize("chunk_bytes", CHUNKS)
def test_text_before_lines_costs_no_record(chunk_bytes: int) -> None:
    # The first bracket before a brace stands inside a record here, and opens no array of records.
    records, damaged, _ = read(b"// generated\n" + json_lines(RECORDS), chunk_bytes)
    assert records == RECORDS
    assert _raws(damaged) == [b"// generated"]


def test_text_before_a_cut_array() -> None:
    data = b"// c\n" + compact(RECORDS)[:-30]
    records, damaged, reader = read(data, 300)
    assert records == RECORDS[:-1]
    assert len(damaged) == 2
    assert reader.cut_off_at == len(data)


@pytest.mark.slow
def test_a_large_array_after_text_is_not_held(tmp_path: Path) -> None:
    data = b"// c\n" + compact(MANY * 20)
    path = tmp_path / "reader.bin"
    with memray.Tracker(path, native_traces=False):
        for _ in Reader(io.BytesIO(data), 1 << 16, _decode):
            pass
    with memray.FileReader(path) as reader:
        assert reader.metadata.peak_memory < len(data)


BETWEEN = (b"\n", b",", b"", b",\n", b"\r\n\r\n", b" [] \n")


@pytest.mark.parametrize(
    ("first", "second", "between", "chunk_bytes"),
    [
        *itertools.product(ARRAYS, ARRAYS, BETWEEN, [64]),
        *itertools.product([compact], [pretty], BETWEEN, [7, *CHUNKS]),
    ],
)
def test_all_arrays_of_a_file_are_read(
    first: Any, second: Any, between: bytes, chunk_bytes: int
) -> None:
    parts = [_bytes(first, RECORDS[:20]), _bytes(second, RECORDS[20:]), _bytes(first, RECORDS[:3])]
    records, damaged, reader = read(between.join(parts) + b"\n", chunk_bytes)
    assert records == RECORDS + RECORDS[:3]
    assert damaged == []
    assert reader.cut_off_at is None


def test_a_cut_in_a_later_array_is_noticed() -> None:
    data = compact(RECORDS) + b"\n" + compact(RECORDS)[:-30]
    records, damaged, reader = read(data, 1000)
    assert records == RECORDS + RECORDS[:-1]
    assert len(damaged) == 1
    assert reader.cut_off_at == len(data)


def test_text_after_the_end_stays_damage() -> None:
    for text in (b"[1]", b"[x]", b'{"id":1}', b'x [{"id":1}]'):
        records, damaged, _ = read(compact(RECORDS) + text, 1000)
        assert records == RECORDS
        assert _raws(damaged) == [text]


@pytest.mark.parametrize("chunk_bytes", CHUNKS)
def test_lines_that_are_lists_lose_the_damaged_record_alone(chunk_bytes: int) -> None:
    parts = [RECORDS[n : n + 5] for n in range(0, 50, 5)]
    data = b"\n".join(compact(part) for part in parts) + b"\n"
    assert read(data, chunk_bytes)[:2] == (RECORDS, [])
    for lost in (7, 9):  # within a list, and at the end of one
        for torn in (b'"id":%d,,', b'"id":nope%d,', b'"id":"\\ud800%d",'):
            bad = data.replace(b'"id":%d,' % lost, torn % lost)
            records, damaged, _ = read(bad, chunk_bytes)
            assert records == RECORDS[:lost] + RECORDS[lost + 1 :]
            assert len(damaged) == 1


def test_a_section_of_an_envelope_holds_one_array() -> None:
    class Section(io.BytesIO):
        span = Span(0, 19, closed=True)

    found = list(Reader(Section(b'{"id":1}]\n[{"id":2}'), 1000, _decode))
    assert len(found) > 1


@pytest.mark.parametrize("chunk_bytes", [7, 64, *CHUNKS])
@pytest.mark.parametrize(
    "end", [b'{"id":51,"text":"ab', b'{"id":51,"text":', b'{"id":51, ', b'{"id":5', b"{"]
)
def test_lines_cut_in_mid_record_are_noticed(end: bytes, chunk_bytes: int) -> None:
    data = json_lines(RECORDS) + end
    records, damaged, reader = read(data, chunk_bytes)
    assert records == RECORDS
    assert _raws(damaged) == [end.strip(b", ")]
    assert reader.cut_off_at == len(data)


@pytest.mark.parametrize("chunk_bytes", [7, *CHUNKS])
@pytest.mark.parametrize(
    "end",
    [b"", b'{"id":51}', b'{"id":51,"text":"ab\n', b'{"id":"\\ud800"}', b"nope", b"42", b'{"a":x}'],
)
def test_lines_that_end_whole_or_damaged_are_not_cut(end: bytes, chunk_bytes: int) -> None:
    records, _, reader = read(json_lines(RECORDS) + end, chunk_bytes)
    assert records[:50] == RECORDS
    assert reader.cut_off_at is None


@given(
    st.lists(st.lists(st.integers(0, 99), max_size=4), min_size=1, max_size=8),
    st.sampled_from([b"\n", b",", b"", b" \r\n"]),
    st.integers(1, 200),
)
def test_any_arrays_in_a_row(parts: list[list[int]], between: bytes, chunk_bytes: int) -> None:
    held = [[{"id": n, "in": [[{"id": n}], [{}]]} for n in part] for part in parts]
    records, damaged, _ = read(between.join(compact(part) for part in held), chunk_bytes)
    assert records == [record for part in held for record in part]
    assert damaged == []
