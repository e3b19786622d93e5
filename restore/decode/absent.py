"""Puts a column's default where a record lacks the field, in the form that a COPY sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

# What Copy.write_row calls for each row. Its two frames in Python around that cost as much again.
from psycopg._copy_base import format_row_binary, format_row_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg.abc import Transformer

    from restore.decode.column_forms import Step

    # What puts a row behind others, as psycopg does.
    _Add = Callable[[Sequence[Any], Transformer, bytearray], object]

_SIZE_BYTES = 4
_NULL_SIZE = b"\xff\xff\xff\xff"
_ESCAPES = {ord("\\"): "\\\\", ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}


class _Absent:
    """Stands in a decoded row for a field that its record lacks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


class Default(NamedTuple):
    """The value of a column's default; None: NULL.

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


def but_absent(step: Step) -> Step:
    """Return the same step for columns in which ABSENT may stand."""

    def take_present(values: Sequence[Any]) -> Sequence[Any]:
        present = [value for value in values if value is not ABSENT]
        if len(present) == len(values):
            return step(values)
        taken = iter(step(present) if present else ())
        return [ABSENT if value is ABSENT else next(taken) for value in values]

    return take_present


def adding(fills: tuple[bytes | None, ...], *, binary: bool) -> _Add:
    """Return what puts a row behind others.

    Args:
        fills: for each column what ABSENT stands for; empty: no row holds it.
        binary: which form the rows have.
    """
    add = format_row_binary if binary else format_row_text
    if not fills:
        return add  # type: ignore[no-any-return] # psycopg does not type it
    cut = _binary_fields if binary else _text_fields

    def add_filled(row: Sequence[Any], types: Transformer, out: bytearray) -> None:
        lacked = [n for n, value in enumerate(row) if value is ABSENT]
        if not lacked:
            add(row, types, out)
            return
        present = tuple(None if value is ABSENT else value for value in row)
        form = bytearray()
        add(present, types, form)
        head, fields, between, tail = cut(form)
        for n in lacked:
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
