"""The reader delivers every whole record once, with its right offset, however the file is set."""

from __future__ import annotations

import io
import json
from itertools import pairwise
from typing import Any

import ijson
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from restore.source.reader import Batch, Damage, Reader
from restore.tests.support.records import records_of

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
        pieces = records_of(found) if isinstance(found, Batch) else [found.record]
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
    assert reader.cut_off_at == cut


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
        (b'[{"id":1}][{"id":2}]', [{"id": 1}, {"id": 2}], []),
        (b'[{"id":1}] [2]', [{"id": 1}], [b"[2]"]),
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


@pytest.mark.parametrize("chunk_bytes", [1000, 1 << 18])
def test_nesting_without_end_is_one_reject(chunk_bytes: int) -> None:
    data = b'[{"id":' + b"[" * 5000 + b"]" * 4999 + b'},{"id":1}]'
    records, damaged, _ = read(data, chunk_bytes)
    assert records == [{"id": 1}]
    assert len(damaged) == 1


def test_a_record_larger_than_many_chunks() -> None:
    large = {"id": 1, "text": "},{" * 100_000}
    records, damaged, _ = read(lines([{"id": 0}, large, {"id": 2}]), 1024)
    assert records == [{"id": 0}, large, {"id": 2}]
    assert damaged == []


# A number that a chunk's end cuts in two; a first record without fields.
_CUT_NUMBER: list[Any] = [{"a": [{"b": 1.0000000000000002e300}, {"b": -1}]}, {"a": 1e-7}]
_EMPTY_FIRST: list[Any] = [{}, {"a": [{"b": 1}, {"b": [{}, {"c": 2}]}]}, {}, {"a": [{"b": 5}]}]


@pytest.mark.parametrize("records", [_CUT_NUMBER, _EMPTY_FIRST, _EMPTY_FIRST[:1] * 9])
@pytest.mark.parametrize("style", STYLES)
def test_a_chunk_may_end_anywhere(records: list[Any], style: Any) -> None:
    data = style(records)
    for chunk_bytes in range(1, len(data) + 2):
        found, damaged, _ = read(data, chunk_bytes)
        assert found == records
        assert damaged == []


@pytest.mark.parametrize("chunk_bytes", CHUNKS)
def test_damage_after_records_without_fields(chunk_bytes: int) -> None:
    inner = [{"x": 1}, {"x": 2}]
    data = compact([{}, {}, {"id": 1, "in": inner}, {"id": 2, "in": inner}, {"id": 3, "in": inner}])
    records, damaged, _ = read(data.replace(b'"id":2,', b'"id":nope,'), chunk_bytes)
    assert records == [{}, {}, {"id": 1, "in": inner}, {"id": 3, "in": inner}]
    assert len(damaged) == 1


@pytest.mark.parametrize("chunk_bytes", [64, 1000])
def test_a_large_record_ends_where_it_ends(chunk_bytes: int) -> None:
    texts = ['"\\"', "}],[{", "\\", '"' * 99, "x" * 300, "{" * 200, '\\"' * 50]
    large = [
        {"id": n, "t": [text] * n, "o": [{text: {"k": []}}] * 9} for n, text in enumerate(texts)
    ]
    for style in STYLES:
        records, damaged, _ = read(style([{"id": 0}, *large, {"id": 9}]), chunk_bytes)
        assert records == [{"id": 0}, *large, {"id": 9}]
        assert damaged == []


@pytest.mark.parametrize("damage", [b'"\x01"', b'"\\ud800"', b"nope", b'"open', b"]", b"[1"])
@pytest.mark.parametrize("style", [lines, compact])
def test_a_large_damaged_record_costs_no_other(style: Any, damage: bytes) -> None:
    large = {"id": 1, "text": "},{" * 2000, "in": [{"x": 1}] * 500, "last": 4711}
    others = [{"id": n, "text": "a", "in": [{"x": 1}], "last": n} for n in (0, 2, 3)]
    data = style([others[0], large, *others[1:]]).replace(b"4711", damage)
    for chunk_bytes in (64, 1000, 1 << 20):
        records, damaged, _ = read(data, chunk_bytes)
        assert records == others
        assert len(damaged) == 1


def test_records_of_a_batch_one_by_one() -> None:
    data = b'[ {"a":1} ,\n\t{"b":"},{"}, {}\r\n,{"c":[]} ]'
    [batch] = Reader(io.BytesIO(data), 1000, _decode)
    assert isinstance(batch, Batch)
    expected = [b'{"a":1}', b'{"b":"},{"}', b"{}", b'{"c":[]}']
    assert [bytes(raw) for raw in batch.raws()] == expected
    assert batch.record(2) == records_of(batch)[2]
    assert [batch.record(index).raw for index in range(4)] == expected
    assert [record.offset for record in records_of(batch)] == [data.index(raw) for raw in expected]


N = 1 << 15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b'[{"id":' + b"[" * 100_000 + b"]" * 100_000 + b'},{"id":1}]', 2),
        (b'[{"id":' + b"[" * 500_000, 0),
        (b'[{"a":1},' + b'{"a":[},' * N, 1),
        (b'[{"a":1},' + b'{"a":"},' * N, 1),
        (b'[\n{"a":1},\n' + b'{"a":[},\n' * N, 1),
        (b'{"a":1}\n' + b'{"a":[\n' * N, 1),
        (b'[{"a":1},' + b'{"a":[0,' * N, 1),
        (b'{"a":1}\n' + b'{"a":[\n' * N + b"]}\n" * (N - 1), 2),
        (b'[\n{"a":1},\n' + b'{"a":[0,\n' * N, 1),
        (b"[" + b"x," * N + b'{"a":1}]', 1),
        (b'[{"a":"' + b'\\"' * (10 * N) + b'"},{"a":1}]', 2),
        (b'[{"a":1}' + b"," * (10 * N) + b'{"a":1}]', 2),
        (b" " * (100 * N) + b'{"a":1}', 1),
        (b"[" + b" " * (100 * N) + b'{"a":1}]', 1),
        (b'[{"a":1},' + b"\n" * (100 * N) + b'{"a":1}]', 2),
        (b'[{"a":' + b" " * (100 * N) + b'1},{"a":1}]', 2),
    ],
    ids=range(16),
)
@pytest.mark.timeout(60)  # what is looked at again and again would take minutes
def test_hostile_files_end(data: bytes, whole: int) -> None:
    found = list(Reader(io.BytesIO(data), 1 << 19, _decode))
    assert sum(item.count for item in found if isinstance(item, Batch)) == whole


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


@pytest.mark.slow
@given(_some_records, st.sampled_from(STYLES), st.integers(1, 400))
@example(_EMPTY_FIRST, compact, 5)
@example(_CUT_NUMBER, compact, 28)
def test_the_same_as_json_on_any_valid_file(
    records: list[Any], style: Any, chunk_bytes: int
) -> None:
    data = style(json.loads(json.dumps(records)))
    found, damaged, _ = read(data, chunk_bytes)
    assert found == records
    assert damaged == []


@pytest.mark.slow
@given(_some_records, st.integers(1, 400))
@example(_EMPTY_FIRST, 9)
@example(_CUT_NUMBER, 28)
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
        for piece in records_of(found) if isinstance(found, Batch) else [found.record]:
            assert data[piece.offset : piece.offset + len(piece.raw)] == piece.raw
            assert piece.offset >= ends[-1]
            ends.append(piece.offset + len(piece.raw))
    assert all(a <= b for a, b in pairwise(ends))


@given(st.lists(st.sampled_from([b"{", b"}", b'"', b":", b",", b"[", b"]", b"\n", b"1", b"\\"])))
def test_any_structure_ends(tokens: list[bytes]) -> None:
    data = b"[" + b"".join(tokens)
    for found in Reader(io.BytesIO(data), 5, _decode):
        for piece in records_of(found) if isinstance(found, Batch) else [found.record]:
            assert data[piece.offset : piece.offset + len(piece.raw)] == piece.raw


@given(
    st.lists(
        st.integers(0, 99)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=20)
        | st.lists(
            st.sampled_from(["{", "}", '"', '"id":', "[", "]", ",", " ", "1", ":", "\\"]),
            max_size=8,
        ).map("".join),
        max_size=12,
    ),
    st.integers(1, 200),
)
@example(['{"id":[1', 1, '{"', 2, '"', 3], 9)
@example(["0"], 5)
@example(["]", 0, "[0", 1, "]0", 2], 1)
def test_each_whole_line_is_delivered_once_through_any_damage(
    items: list[int | str], chunk_bytes: int
) -> None:
    whole = [{"sound": n, "in": [{"x": n}]} for n in items if isinstance(n, int)]
    texts = [
        compact({"sound": n, "in": [{"x": n}]}) if isinstance(n, int) else n.encode() for n in items
    ]
    records, _, _ = read(b'[\n{"first":1},\n' + b",\n".join(texts) + b"\n]\n", chunk_bytes)
    found = [record for record in records if isinstance(record, dict) and "sound" in record]
    assert found == whole
