"""Decimal numbers become the binary form of numeric without a Decimal for each."""

from __future__ import annotations

import decimal
import functools
import struct
from typing import TYPE_CHECKING

from psycopg.types.numeric import DecimalBinaryDumper

from restore.errors import UnsupportedFormError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import msgspec

    from restore.decode.convert import Converter
    from restore.target.catalog import Column

# PostgreSQL's numeric has four decimal digits in each of its own: NBASE in its numeric.c.
MOST_PLACES, _BASE = 4, 10_000
# The sign of a negative number: NUMERIC_NEG there.
_NEGATIVE = b"\x40\0"
_NULL = b"null"
# The heads of so many numbers are remembered.
_MOST_KNOWN = 1 << 12

_decimal_form = DecimalBinaryDumper(decimal.Decimal).dump


class _Whole(dict[bytes, bytes]):
    """The head of a numeric's binary form up to its digits before the point, by their text."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self._scale = scale

    def __missing__(self, text: bytes) -> bytes:
        number = int(text)
        if not 0 <= number < _BASE**2 or b"%d" % number != text:
            raise ValueError("not as short as numbers usually are")
        if number >= _BASE:
            return struct.pack("!hhhhhh", 3, 1, 0, self._scale, *divmod(number, _BASE))
        form = struct.pack("!hhhhh", 2, 0, 0, self._scale, number)
        if number < _MOST_KNOWN:
            self[text] = form
        return form


class _Fraction(dict[bytes, bytes]):
    """The digit behind a numeric's point, by its text."""

    def __init__(self, scale: int) -> None:
        super().__init__({b"": b"\0\0"})
        self._scale = scale

    def __missing__(self, text: bytes) -> bytes:
        if len(text) > self._scale or not text.isdigit():
            raise ValueError("not as long as the column's fractions")
        form = self[text] = struct.pack("!h", int(text.ljust(MOST_PLACES, b"0")))
        return form


@functools.cache  # what is known of numbers is shared by all columns of a scale
def _halves(scale: int) -> tuple[_Whole, _Fraction]:
    return _Whole(scale), _Fraction(scale)


def numerics(
    column: Column, scale: int, converter: Converter
) -> Callable[[Sequence[msgspec.Raw]], Sequence[bytes | None]]:
    """Return what turns decimal numbers into the binary form: numeric_recv in numeric.c.

    Numbers, or strings of them, that are written as usual are put together from the forms of their
    two halves; all others are read, and checked, as a Decimal.
    """
    whole, fraction = _halves(scale)
    typed = converter.typed

    def one(raw: bytes) -> bytes | None:
        if raw == _NULL:
            if column.not_null:
                raise UnsupportedFormError("null in a column that must not be NULL")
            return None
        before, _, after = raw.strip(b'"').partition(b".")
        try:
            if before.startswith(b"-"):
                form = whole[before[1:]]
                return form[:4] + _NEGATIVE + form[6:] + fraction[after]
            return whole[before] + fraction[after]
        except ValueError:
            return bytes(_decimal_form(typed(column, raw)) or b"")

    def pack(values: Sequence[msgspec.Raw]) -> Sequence[bytes | None]:
        try:
            parts = [(b"" + value).strip(b'"').partition(b".") for value in values]
            return [whole[before] + fraction[after] for before, _, after in parts]
        except ValueError:
            return [one(b"" + value) for value in values]

    return pack
