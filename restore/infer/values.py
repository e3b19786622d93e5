"""JSON values as they are looked at, and which of PostgreSQL's types take them unchanged."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from restore.decode.scalars import MOST_DIGITS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# numeric and jsonb keep so many digits after the decimal point: NUMERIC_DSCALE_MAX in PostgreSQL's
# utils/adt/numeric.c.
_MOST_PLACES = 16_383
# Numbers with less characters, and no exponent, are far from these bounds.
_USUAL_CHARACTERS = 300
_MOST_EXPONENT_CHARACTERS = 9
# A float has 15 digits that are surely its own; 16 and more come from arithmetic with floats.
_SURE_DIGITS = 15
_SURE_INTEGER = 2**53

TextForm = Literal["uuid", "date", "timestamp", "timestamptz", "bytea"]
"""A type that takes a text and gives back the same value."""

_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6}0*)?"
_DATE = r"\d{4}-\d\d-\d\d"
_ZONE = r"(?:Z|[+-](?:0\d|1[0-4]):?[0-5]\d|[+-](?:0\d|1[0-4]))"
_FORMS: dict[TextForm, str] = {
    "uuid": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "date": _DATE,
    "timestamp": rf"{_DATE}[T ]{_TIME}",
    "timestamptz": rf"{_DATE}[T ]{_TIME}{_ZONE}",
    "bytea": r"\\x(?:[0-9a-f]{2})*",
}
_PATTERNS = {
    form: (re.compile(one, re.ASCII), re.compile(rf"(?:(?:{one})\n)*+", re.ASCII))
    for form, one in _FORMS.items()
}
_CALENDAR: frozenset[TextForm] = frozenset({"date", "timestamp", "timestamptz"})
# Of these an offset leads to years that many clients do not know.
_EDGE_YEARS = ("\n0001-", "\n9999-")


class Numeral(str):
    """A JSON number as it is written, if it has a fraction or an exponent."""

    __slots__ = ()


class RecordDecoder:
    """Decodes records, with numbers as they are written.

    Attributes:
        is_unusual: something in what was decoded last may be too much for numeric, text or jsonb.
    """

    def __init__(self) -> None:
        self.is_unusual = False
        self._has_extreme = False
        kind = list[dict[str, Any]]
        self._records = msgspec.json.Decoder(kind, float_hook=self._numeral).decode
        self._value = msgspec.json.Decoder(float_hook=self._numeral).decode

    def records(self, data: bytes) -> list[dict[str, Any]]:
        """Decode a JSON array of records.

        Raises:
            msgspec.DecodeError: it is none, or an integer has more than 4,300 digits.
            RecursionError: it is nested too deep.
        """
        self._has_extreme = False
        records = self._records(data)
        self.is_unusual = self._has_extreme or b"\\u0000" in data
        return records

    def value(self, raw: bytes) -> Any:  # noqa: ANN401 - any JSON value
        """Decode one value.

        Raises:
            as ``records`` does.
        """
        self._has_extreme = False
        value = self._value(raw)
        self.is_unusual = self._has_extreme or b"\\u0000" in raw
        return value

    def _numeral(self, text: str) -> Numeral:
        if "e" in text or "E" in text or len(text) > _USUAL_CHARACTERS:
            self._has_extreme = True
        return Numeral(text)


def has_form(texts: Sequence[str], form: TextForm) -> bool:
    """Tell if a type takes all of these texts and gives back the same values.

    An offset of a ``timestamptz`` is not given back; the instant is.
    """
    one, all_lines = _PATTERNS[form]
    if texts and one.fullmatch(texts[0]) is None:
        return False
    joined = "\n".join(("", *texts, ""))
    if joined.count("\n") != len(texts) + 1 or all_lines.fullmatch(joined, 1) is None:
        return False
    if form not in _CALENDAR:
        return True
    try:
        for _ in map(dt.datetime.fromisoformat, texts):
            pass
    except ValueError:
        return False
    return form != "timestamptz" or not any(year in joined for year in _EDGE_YEARS)


def is_exact_double(text: str) -> bool:
    """Tell if a float prints as the same number: then ``double precision`` loses no digit."""
    number = float(text)
    return math.isfinite(number) and decimal.Decimal(repr(number)) == decimal.Decimal(text)


def is_exact_double_integer(number: int) -> bool:
    """Tell if a float holds an integer, and all between it and zero."""
    return -_SURE_INTEGER <= number <= _SURE_INTEGER


def is_float_like(text: str) -> bool:
    """Tell if a numeral looks as only floats are written: an exponent, 16 digits, or minus zero."""
    if "e" in text or "E" in text:
        return True
    digits = text.lstrip("-").replace(".", "").lstrip("0")
    return len(digits) > _SURE_DIGITS or (not digits and text.startswith("-"))


def fits_numeric(text: str) -> bool:
    """Tell if ``numeric``, and so ``jsonb``, keeps a number with all its digits."""
    exponent = text.lower().partition("e")[2]
    if len(exponent) > _MOST_EXPONENT_CHARACTERS:
        return False
    number = decimal.Decimal(text)
    places = number.as_tuple().exponent
    return number.adjusted() < MOST_DIGITS and isinstance(places, int) and -places <= _MOST_PLACES


def fits_jsonb(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Tell if ``jsonb`` takes a value: no text in it holds NUL, and no number is beyond numeric."""
    left: list[Any] = [value]
    pop, fits = left.pop, _CHECKS.get
    while left:
        part = pop()
        if isinstance(part, dict):
            left += part.keys()
            left += part.values()
        elif isinstance(part, list):
            left += part
        elif (check := fits(type(part))) is not None and not check(part):
            return False
    return True


_CHECKS: dict[type, Callable[[Any], bool]] = {
    str: lambda text: "\0" not in text,
    Numeral: fits_numeric,
}
