"""What of a batch is decoded at once, and what is looked at record by record."""

from __future__ import annotations

import json
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from restore.decode import packer as native
from restore.decode.convert import Converter
from restore.decode.shapes import ShapeLearner
from restore.target.catalog import Column, Table, Type
from restore.tests.support.native import not_built


def shapes(**kinds: str) -> ShapeLearner:
    columns = [
        Column(
            name,
            Type(0, "pg_catalog", kind, "b"),
            not_null=False,
            has_default=False,
            generated=False,
        )
        for name, kind in kinds.items()
    ]
    return ShapeLearner(Table(0, "public", "t", tuple(columns), (), (), ()), Converter())


@pytest.mark.usefixtures("in_c")
def test_a_long_number_is_no_fine_second() -> None:
    record = b'{"at":"2024-01-31T12:34:56.123Z","lat":%b52.5200066}'
    for white in (b"", b" ", b"\t", b"\n "):
        decoded = shapes(at="timestamptz", lat="float8").decode(b"[%b]" % (record % white))
        assert [segment.codec is not None for segment in decoded.segments] == [True]


@pytest.mark.usefixtures("in_c")
def test_a_second_finer_than_its_column_is_looked_at_alone() -> None:
    for second in (b"56.1234567", b"56.1230001", b"56.00000000009"):
        record = b'{"at":"2024-01-31T12:34:%bZ","lat":52.5}' % second
        decoded = shapes(at="timestamptz", lat="float8").decode(b"[%b]" % record)
        assert [segment.codec for segment in decoded.segments] == [None]


RECORDS = st.builds(
    lambda record, change: {k: v for k, v in (record | change).items() if v is not ...},
    st.fixed_dictionaries(
        {
            "n": st.integers(0, 9),
            "at": st.just("2024-01-31T12:34:56Z"),
            "t": st.text("aé", max_size=3),
        }
    ),
    st.just({})
    | st.just({})
    | st.sampled_from(
        [
            *({"n": "7"}, {"n": 7.5}, {"n": None}, {"n": ...}, {"n": 1 << 40}),
            *({"at": "2024-01-31"}, {"at": 1_700_000_000}, {"at": "2024-01-31t12:34:56z"}),
            *(
                {"at": "2024-01-31T12:34:56.1234567Z"},
                {"t": 1},
                {"t": {}},
                {"x": -0.0},
                {"x": 1e-32},
            ),
        ]
    ),
)


@pytest.mark.slow
@pytest.mark.skipif(not native.IS_BUILT, reason="restore.decode._native is not built")
@hypothesis.given(batches=st.lists(st.lists(RECORDS, max_size=120), min_size=1, max_size=3))
def test_batches_fall_apart_in_c_as_they_do_in_python(batches: list[list[Any]]) -> None:
    kinds = {"n": "int4", "at": "timestamptz", "t": "text", "x": "float8"}
    in_c, in_python = (shapes(**kinds) for _ in range(2))
    for records in batches:
        data = json.dumps(records, ensure_ascii=False).encode()
        one = in_c.decode(data)
        with not_built():
            other = in_python.decode(data)
        assert one.count == other.count == len(records)
        assert one.spans is not None or not records
        for segment, expected in zip(one.segments, other.segments, strict=True):
            assert segment.start == expected.start
            assert len(segment.rows) == len(expected.rows)
            if segment.codec is None or expected.codec is None:
                assert segment.codec is expected.codec
                continue
            assert segment.codec.shape == expected.codec.shape
            pieces = (b"".join(each.rows.pieces(1 << 20)) for each in (segment, expected))
            assert next(pieces) == next(pieces)
            assert list(segment.codec.unknown_in(segment.rows)) == [
                names for names in expected.codec.unknown_in(expected.rows) if names
            ]


def test_records_with_a_new_field_each_are_decoded_together(*, in_c: bool) -> None:
    of = shapes(n="int4")
    for batch in range(5):
        names = [f"x{batch}_{n}" for n in range(300)]
        records = [{"n": n, name: n, "all": n} for n, name in enumerate(names)]
        decoded = of.decode(json.dumps(records).encode())
        if batch == 0 and not (in_c and native.IS_BUILT):
            continue  # what it learns from
        [segment] = decoded.segments
        assert segment.codec is not None
        half = segment.rows[150:]
        counted = [name for found in segment.codec.unknown_in(half) for name in found]
        assert sorted(counted) == sorted(names[150:] + ["all"] * 150)


@pytest.mark.skipif(not native.IS_BUILT, reason="restore.decode._native is not built")
def test_unknown_fields_of_many_records_are_learned_and_others_noted() -> None:
    of = shapes(n="int4")
    records: list[dict[str, Any]] = [
        {"n": n, "all": n, **({"one": n, "é": n} if n == 70 else {})} for n in range(300)
    ]
    records[80] = {"n": "80", "two": 1}  # of another type: Python looks at it
    [*others, last] = of.decode(json.dumps(records, ensure_ascii=False).encode()).segments
    assert [segment.start for segment in (*others, last)] == [0, 80, 81]
    assert last.codec is not None
    assert last.codec.ignored == ("all",)
    assert list(last.rows.unknown()) == []
    assert [set(each) for each in others[0].rows.unknown()] == [{"one", "é"}]
