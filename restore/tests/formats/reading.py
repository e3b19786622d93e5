"""Reads exports by their format, whole and byte by byte."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.format import TableColumns

if TYPE_CHECKING:
    from restore.source.formats.format import Format, FoundRecord


class ByteByByte:
    """A stream that returns one byte at a time, whatever is asked for."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, _size: int, /) -> bytes:
        return self._stream.read(1)


def columns(*names: str, **types: str) -> dict[str, TableColumns]:
    """Describe the only table of a target; ``types`` of columns that are not text."""
    return {"t": TableColumns(names, ("id",), tuple(types.get(name, "text") for name in names))}


def found_in(
    form: Format, data: bytes, tables: dict[str, TableColumns] | None = None
) -> list[FoundRecord]:
    """Return the records of an export, which do not depend on how it is read."""
    found = list(form.records(io.BytesIO(data), tables))
    assert list(form.records(ByteByByte(data), tables)) == found
    assert all(data[record.offset : record.offset + 1].strip() for record in found)
    return found


def rows_of(
    form: Format, data: bytes, tables: dict[str, TableColumns] | None = None
) -> list[object]:
    """Return the rows of an export, each one a line."""
    assert form.detect(data.lstrip()[: 1 << 16])
    found = found_in(form, data, tables)
    assert all(b"\n" not in record.data for record in found)
    return [msgspec.json.decode(record.data) for record in found]
