"""What of a batch is decoded at once, and what is looked at record by record."""

from __future__ import annotations

from restore.catalog import Column, Table, Type
from restore.shapes import Shapes
from restore.values import Converter


def shapes(**kinds: str) -> Shapes:
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
    return Shapes(Table(0, "public", "t", tuple(columns), (), (), ()), Converter())


def test_a_long_number_is_no_fine_second() -> None:
    record = b'{"at":"2024-01-31T12:34:56.123Z","lat":%b52.5200066}'
    for white in (b"", b" ", b"\t", b"\n "):
        decoded = shapes(at="timestamptz", lat="float8").decode(b"[%b]" % (record % white))
        assert [segment.codec is not None for segment in decoded.segments] == [True]


def test_a_second_finer_than_its_column_is_looked_at_alone() -> None:
    for second in (b"56.1234567", b"56.1230001", b"56.00000000009"):
        record = b'{"at":"2024-01-31T12:34:%bZ","lat":52.5}' % second
        decoded = shapes(at="timestamptz", lat="float8").decode(b"[%b]" % record)
        assert [segment.codec for segment in decoded.segments] == [None]
