"""The reader delivers every whole record once, with its right offset, however the file is set."""

from __future__ import annotations

import io
import json
from itertools import pairwise
from typing import Any

import ijson
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore.read import Batch, Damage, Reader

_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode
CHUNKS = (7, 64, 300, 1000, 100_000)

RECORDS = [
    {
        "id": number,
        "text": 'x},{"id":"\\ [' * (number % 3),
        "list": [{"id": 1}, {"id": 2}],
        "deep": {"k": {}},
    }
    for number in range(50)
]


def lines(records: list[Any]) -> bytes:
    return b"[\n" + b",\n".join(compact(record) for record in records) + b"\n]\n"


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def pretty(records: list[Any]) -> bytes:
    return json.dumps(records, indent=2).encode()


def json_lines(records: list[Any]) -> bytes:
    return b"\n".join(compact(record) for record in records) + b"\n"


def crlf(records: list[Any]) -> bytes:
    return pretty(records).replace(b"\n", b"\r\n")


def bom(records: list[Any]) -> bytes:
    return b"\xef\xbb\xbf" + lines(records)


STYLES = (lines, compact, pretty, json_lines, crlf, bom)


def read(data: bytes, chunk_bytes: int) -> tuple[list[Any], list[Damage], Reader]:
    """Read all; check that each offset points at the very bytes that were delivered."""
    reader = Reader(io.BytesIO(data), chunk_bytes, _decode)
    records, damaged, ordinals = [], [], []
    for found in reader:
        pieces = found.records() if isinstance(found, Batch) else [found.record]
        for piece in pieces:
            assert data[piece.offset : piece.offset + len(piece.raw)] == piece.raw
            ordinals.append(piece.ordinal)
        if isinstance(found, Batch):
            assert len(pieces) == found.count
            records += [json.loads(piece.raw) for piece in pieces]
        else:
            damaged.append(found)
    assert ordinals == list(range(len(ordinals)))
    return records, damaged, reader


@pytest.mark.parametrize("chunk_bytes", CHUNKS)
@pytest.mark.parametrize("style", STYLES)
def test_every_style_at_every_chunk_size(style: Any, chunk_bytes: int) -> None:
    records, damaged, reader = read(style(RECORDS), chunk_bytes)
    assert records == RECORDS
    assert damaged == []
    assert reader.cut_off_at is None


@pytest.mark.parametrize("chunk_bytes", CHUNKS)
@pytest.mark.parametrize("style", [lines, compact, pretty, json_lines])
def test_cut_off_file_gives_all_whole_records(style: Any, chunk_bytes: int) -> None:
    data = style(RECORDS)
    whole = [data.index(b'"id":%b%d' % (b" " if style is pretty else b"", n)) for n in range(50)]
    # A cut in the middle of record 33's text leaves 33 whole ones.
    cut = (whole[33] + whole[34]) // 2
    records, damaged, reader = read(data[:cut], chunk_bytes)
    assert records == RECORDS[:33]
    assert [damage.record.ordinal for damage in damaged] == [33]
    assert reader.cut_off_at == (None if style is json_lines else cut)


@pytest.mark.parametrize("data", [b"[", b'[{"id":1}', b'[{"id":1},'])
def test_cut_off_between_records_is_noticed(data: bytes) -> None:
    _, damaged, reader = read(data, 64)
    assert damaged == []
    assert reader.cut_off_at == len(data)


@pytest.mark.parametrize("chunk_bytes", CHUNKS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("sound", "torn"),
    [
        (b'"id":20,', b'"id":NaN,'),
        (b'"id":20,', b'"id":20,,'),
        (b'"id":20,"text":"', b'"id":20,"text":'),
        (b'"id":20,', b'"id":"\\ud800",'),
    ],
    ids=["NaN", "double comma", "torn quote", "lone surrogate"],
)
def test_one_damaged_record_costs_no_other(
    style: Any, sound: bytes, torn: bytes, chunk_bytes: int
) -> None:
    data = style(RECORDS)
    if style in {pretty, crlf}:
        end = b"\r\n    " if style is crlf else b"\n    "
        sound, torn = (text.replace(b":", b": ") for text in (sound, torn))
        sound, torn = (text.replace(b',"', b"," + end + b'"') for text in (sound, torn))
    assert data.count(sound) == 1
    records, damaged, _ = read(data.replace(sound, torn), chunk_bytes)
    assert records == RECORDS[:20] + RECORDS[21:]
    assert [damage.record.ordinal for damage in damaged] == [20]


@pytest.mark.parametrize(
    ("data", "records", "damaged"),
    [
        (b"", [], []),
        (b"   ", [], []),
        (b"[]", [], []),
        (b"\xef\xbb\xbf[ ]\r\n", [], []),
        (b'{"id":1}', [{"id": 1}], []),
        (b'{\n"id":1\n}\n\n{\n"id":2}', [{"id": 1}, {"id": 2}], []),
        (b'[{"id":1} {"id":2}{"id":3}]', [{"id": 1}, {"id": 2}, {"id": 3}], []),
        (b'[{"id":1},]', [{"id": 1}], []),
        (b'[{"id":1}] x', [{"id": 1}], [b"x"]),
        (b'[{"id":1}][{"id":2}]', [{"id": 1}], [b'[{"id":2}]']),
        (b"garbage", [], [b"garbage"]),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [5, 1000])
def test_odd_files(data: bytes, records: list[Any], damaged: list[bytes], chunk_bytes: int) -> None:
    found, lost, _ = read(data, chunk_bytes)
    assert found == records
    assert b"".join(damage.record.raw for damage in lost) == b"".join(damaged)


def test_things_that_are_no_records_between_damaged_ones() -> None:
    kinds = [b"{'a':1}", b"42", b"null", b'"text"', b'[{"id":-9}]', b"{}", b'{"id":nope}', b"x"]
    data = b"[\n" + b",\n".join([compact({"id": 1}), *kinds, compact({"id": 2})]) + b"\n]\n"
    for chunk_bytes in CHUNKS:
        records, damaged, _ = read(data, chunk_bytes)
        found = [damage.record.raw for damage in damaged]
        # In a stretch that parses as a whole, what is no object is left to who knows the table.
        assert [kind for kind in kinds if kind not in found] == [b"{}"]
        assert records == [{"id": 1}, {}, {"id": 2}]


def test_nesting_without_end_is_one_reject() -> None:
    data = b'[{"id":' + b"[" * 5000 + b"]" * 5000 + b'},{"id":1}]'
    records, damaged, _ = read(data, 1000)
    assert records == [{"id": 1}]
    assert len(damaged) == 1


def test_a_record_larger_than_many_chunks() -> None:
    large = {"id": 1, "text": "},{" * 100_000}
    records, damaged, _ = read(lines([{"id": 0}, large, {"id": 2}]), 1024)
    assert records == [{"id": 0}, large, {"id": 2}]
    assert damaged == []


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 2**63, 2**63 - 1)  # -2**63 is an overflow to yajl
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_some_records = st.lists(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), _values),
    max_size=20,
)


@given(_some_records, st.sampled_from(STYLES), st.integers(1, 400))
def test_the_same_as_json_on_any_valid_file(
    records: list[Any], style: Any, chunk_bytes: int
) -> None:
    data = style(json.loads(json.dumps(records)))
    found, damaged, _ = read(data, chunk_bytes)
    assert found == records
    assert damaged == []


@given(_some_records, st.integers(1, 400))
def test_the_same_as_ijson_on_any_valid_array(records: list[Any], chunk_bytes: int) -> None:
    assert ijson.backend == "yajl2_c"
    data = compact(records)
    found, _, _ = read(data, chunk_bytes)
    assert found == list(ijson.items(io.BytesIO(data), "item", use_float=True))


@given(st.binary(max_size=300), st.integers(1, 100))
def test_any_bytes_end_and_nothing_is_delivered_twice(data: bytes, chunk_bytes: int) -> None:
    reader = Reader(io.BytesIO(data), chunk_bytes, _decode)
    ends = [0]
    for found in reader:
        for piece in found.records() if isinstance(found, Batch) else [found.record]:
            assert data[piece.offset : piece.offset + len(piece.raw)] == piece.raw
            assert piece.offset >= ends[-1]
            ends.append(piece.offset + len(piece.raw))
    assert all(a <= b for a, b in pairwise(ends))


@given(st.lists(st.sampled_from([b"{", b"}", b'"', b":", b",", b"[", b"]", b"\n", b"1", b"\\"])))
def test_any_structure_ends(tokens: list[bytes]) -> None:
    data = b"[" + b"".join(tokens)
    for found in Reader(io.BytesIO(data), 5, _decode):
        for piece in found.records() if isinstance(found, Batch) else [found.record]:
            assert data[piece.offset : piece.offset + len(piece.raw)] == piece.raw
