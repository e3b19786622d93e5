"""Encodes rows of values as a COPY sends them."""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import psycopg

# What Copy.write_row calls for each row. Its two frames in Python around that cost as much again.
from psycopg._copy_base import format_row_binary, format_row_text
from psycopg.adapt import Transformer
from psycopg.pq import Format

from restore.decode.rows import PackedRows
from restore.target.adapters import ADAPTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from psycopg import abc

    # Adds a row to others, as psycopg does.
    _AddRow = Callable[[Sequence[Any], abc.Transformer, bytearray], object]

# What a conversion or an encoder may raise for a value that its type cannot hold: LossyValueError
# and UnsupportedFormError are ValueErrors.
ENCODE_ERRORS = (ValueError, OverflowError, TypeError, struct.error, psycopg.DataError)
_SIZE_BYTES = 4
_NULL_SIZE = b"\xff\xff\xff\xff"
_ESCAPES = {ord("\\"): "\\\\", ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}


class RecordError(msgspec.ValidationError):
    """A record is not of the shape that is decoded.

    Attributes:
        place: its place in the batch.
    """

    def __init__(self, message: str, place: int) -> None:
        super().__init__(message)
        self.place = place


class DecodedRow(NamedTuple):
    """A row's values, the names of fields that no column takes, and what policies changed."""

    values: Sequence[Any]
    unknown: Collection[str] = ()
    changes: Sequence[str] = ()


class _Absent:
    """Stands in a decoded row for a field that its record lacks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


class Default(NamedTuple):
    """Value of a column's default; None: NULL.

    ``text`` is what the type's output function gives, ``binary`` what its send function does.
    """

    text: bytes | None
    binary: bytes | None

    @property
    def in_binary(self) -> bytes:
        """Return it as a field of a binary COPY, behind its size."""
        if self.binary is None:
            return _NULL_SIZE
        return len(self.binary).to_bytes(_SIZE_BYTES, "big") + self.binary

    @property
    def in_text(self) -> bytes:
        """Return it as a field of a COPY in text."""
        return rb"\N" if self.text is None else self.text.decode().translate(_ESCAPES).encode()


class RowEncoder:
    """Encodes rows of one codec.

    Args:
        oids: the types of the columns, as psycopg encodes them.
        fills: for each column what is sent for ABSENT; empty: no row holds it.
        binary: the format of the COPY.
    """

    def __init__(
        self, oids: tuple[int, ...], fills: tuple[bytes | None, ...], *, binary: bool
    ) -> None:
        self._types = Transformer(ADAPTERS)
        self._types.set_dumper_types(oids, Format.BINARY if binary else Format.TEXT)
        self._add = _adder(fills, binary=binary)

    def encode(self, rows: Iterable[DecodedRow]) -> PackedRows:
        """Encode rows.

        Raises:
            RecordError: a value does not fit its type.
        """
        form, ends, unknown = bytearray(), array("Q"), dict[int, "Collection[str]"]()
        changes: dict[int, Sequence[str]] = {}
        add, types = self._add, self._types
        try:
            for values, names, changed in rows:
                add(values, types, form)
                if names:
                    unknown[len(ends)] = names
                if changed:
                    changes[len(ends)] = changed
                ends.append(len(form))
        except ENCODE_ERRORS as error:
            raise RecordError(str(error), len(ends)) from error
        return PackedRows(form, ends, unknown=unknown, changes=changes)


def _adder(fills: tuple[bytes | None, ...], *, binary: bool) -> _AddRow:
    """Return what adds a row to others."""
    add = format_row_binary if binary else format_row_text
    if not fills:
        return add  # type: ignore[no-any-return] # psycopg does not type it
    cut = _binary_fields if binary else _text_fields

    def add_filled(row: Sequence[Any], types: abc.Transformer, out: bytearray) -> None:
        absent = [n for n, value in enumerate(row) if value is ABSENT]
        if not absent:
            add(row, types, out)
            return
        present = tuple(None if value is ABSENT else value for value in row)
        form = bytearray()
        add(present, types, form)
        head, fields, between, tail = cut(form)
        for n in absent:
            fields[n] = fills[n] or b""
        out += head + between.join(fields) + tail

    return add_filled


def _binary_fields(row: bytearray) -> tuple[bytes, list[bytes], bytes, bytes]:
    """Cut a row into its head, its fields, what stands between them, and its tail."""
    fields, at = [], 2
    while at < len(row):
        size = int.from_bytes(row[at : at + _SIZE_BYTES], "big", signed=True)
        end = at + _SIZE_BYTES + max(size, 0)
        fields.append(bytes(row[at:end]))
        at = end
    return bytes(row[:2]), fields, b"", b""


def _text_fields(row: bytearray) -> tuple[bytes, list[bytes], bytes, bytes]:
    return b"", bytes(row[:-1]).split(b"\t"), b"\t", b"\n"
