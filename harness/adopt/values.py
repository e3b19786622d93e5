"""The documented rules by which a JSON value becomes a column's (``docs/formats.md``), rewritten.

A value is turned into one that ``json_populate_record`` reads without loss, is found to be one that
no restore may take (``LostValueError``), or is not decided here (``UndecidedError``).
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from harness.adopt.reader import Number, Special

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.adopt.reader import Json

_TEXTS = frozenset({"text", "varchar", "bpchar", "citext", "name"})
_INTEGERS = frozenset({"int2", "int4", "int8"})
_FLOATS = frozenset({"float4", "float8"})
_INSTANTS = frozenset({"timestamp", "timestamptz", "date"})
_TIMES = frozenset({"time", "timetz"})
DOCUMENTS = frozenset({"json", "jsonb"})

_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:[.,](\d+))?\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)?)?",
    re.IGNORECASE,
)
_WORDS = frozenset({"now", "today", "tomorrow", "yesterday"})
_NUMERIC_STRING = re.compile(r"\d{10}|\d{13}|\d{16}|\d{19}")
_HEXADECIMAL = re.compile(r"(?:0x)?(?:[0-9a-fA-F]{2})*")
# A numeric's scale is in its modifier; see numeric.c.
_SCALE_BITS, _HEADER = 0x7FF, 4
_FRACTION_DIGITS = 6
_NO_MODIFIER = -1
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_YEAR_S = 365 * 86400
_FIRST_S = int((dt.datetime(1, 1, 1, tzinfo=dt.UTC) - _EPOCH).total_seconds())
_LAST_S = int((dt.datetime(9999, 12, 31, tzinfo=dt.UTC) - _EPOCH).total_seconds())


class LostValueError(Exception):
    """A value that the column cannot hold exactly."""


class UndecidedError(Exception):
    """A value of which the documented rules do not say here what it is."""


@dataclass(slots=True)
class Column:
    """A column, and what was seen of its values in a first pass.

    Args:
        name: its name.
        type: the name of its type or its domain's, without the underscore of an array.
        is_array: whether it is an array of that type.
        modifier: the type's modifier; -1 for none.
        is_required: whether it must not be NULL.
    """

    name: str
    type: str
    is_array: bool = False
    modifier: int = _NO_MODIFIER
    is_required: bool = False
    is_composite: bool = False
    numbers: list[int] = field(default_factory=list)
    documents: int = 0
    strings: int = 0
    unit: str | None = None

    def see(self, value: Json) -> None:
        """Note a value of the first pass: which unit, and which documents there are."""
        if self.type in _INSTANTS:
            if isinstance(value, Number) or (
                isinstance(value, str) and _NUMERIC_STRING.fullmatch(value)
            ):
                number = Decimal(value)
                # The least and the greatest tell the unit.
                self.numbers = sorted({*self.numbers, int(number)})
                self.numbers = [*self.numbers[:1], *self.numbers[1:][-1:]]
        elif self.type in DOCUMENTS and type(value) is str:
            self.strings += 1
            self.documents += isinstance(_parsed(value), dict | list)

    def settle(self) -> None:
        """Decide what the first pass left open.

        Raises:
            UndecidedError: a unit fits no number or several, or strings are documents in part.
        """
        if self.numbers:
            fitting = [unit for unit, scale in _UNITS.items() if _fits(self.numbers, scale)]
            if len(fitting) != 1:
                raise UndecidedError(
                    f"numbers as instants, in {' or '.join(fitting) or 'no known unit'}"
                )
            [self.unit] = fitting
        if self.documents not in (0, self.strings):
            raise UndecidedError("some strings hold documents, others do not")

    def convert(self, value: Json) -> Json:
        """Return what ``json_populate_record`` is to read.

        Raises:
            LostValueError: no restore may take it.
            UndecidedError: it is not decided here.
        """
        if not self.is_array:
            return self._scalar(value)
        if isinstance(value, list):
            return self._members(value)
        # PostgreSQL's own text of an array is read by the server.
        return value if value is None or type(value) is str else self._scalar(value)

    def _members(self, values: list[Json]) -> Json:
        """Convert the members of an array, of all its dimensions."""
        if self.type in DOCUMENTS:
            raise UndecidedError("a list of documents in an array")
        return [
            self._members(member) if isinstance(member, list) else self._scalar(member)
            for member in values
        ]

    def _scalar(self, value: Json) -> Json:
        if self.type in DOCUMENTS:
            return _parsed(value) if type(value) is str and self.documents else value
        if value is None:
            return value
        if self.type in _READERS:
            return _READERS[self.type](value)
        if isinstance(value, dict | list):
            return self._nested(value)
        return self._word(value)

    def _nested(self, value: Json) -> Json:
        """Pass on an object or a list in a column that is no document."""
        if self.type in _TEXTS:
            raise LostValueError("an object or a list in a column of text")
        if self.is_composite:
            return value
        raise UndecidedError(f"an object or a list in a column of type {self.type}")

    def _word(self, value: str | bool) -> Json:  # noqa: FBT001 - a value of the file
        """Convert a string, a number or a boolean."""
        if isinstance(value, Special):
            if self.type in _FLOATS or self.type == "numeric":
                return str(value)
            raise LostValueError("NaN or Infinity")
        if self.type in _INTEGERS and isinstance(value, Number):
            return _integer(value)
        if self.type == "numeric" and isinstance(value, str):
            _check_scale(value, self.modifier)
        elif self.type == "varchar" and self.modifier != _NO_MODIFIER:
            if len(str(value)) > self.modifier - _HEADER:
                raise LostValueError("too long")
        elif self.type in _INSTANTS:
            return self._instant(value)
        elif self.type in _TIMES:
            return _time(value, self.type, self.modifier)
        return value

    def _instant(self, value: str | bool) -> str:  # noqa: FBT001 - a value of the file
        if isinstance(value, bool):
            raise LostValueError("a boolean as an instant")
        if self.unit is not None and (
            isinstance(value, Number) or _NUMERIC_STRING.fullmatch(value)
        ):
            value = _from_epoch(Decimal(value), _UNITS[self.unit])
        if value.strip().lower() in _WORDS:
            raise LostValueError("a word that means the time of the restore")
        found = _ISO.fullmatch(value.strip())
        if found is None:
            if re.fullmatch(r"-?infinity|epoch", value.strip(), re.IGNORECASE):
                return value
            raise UndecidedError("dates that are no ISO 8601")
        day, minutes, seconds, fraction, zone = found.groups()
        if self.type == "date":
            if minutes and (minutes, seconds or ":00", int(fraction or 0)) != ("00:00", ":00", 0):
                raise LostValueError("a time of day in a column of dates")
            return str(day)
        _check_fraction(fraction, self.modifier)
        text = f"{day} {minutes or '00:00'}{seconds or ':00'}.{fraction or '0'}"
        if self.type == "timestamptz" or zone is None:
            return text + (zone or "")
        return _in_utc(text, zone)


def encode(value: Json) -> str:
    """Write a value as JSON, numbers as they were in the file."""
    match value:
        case Number() | Special():
            return str(value)
        case dict():
            members = (f"{json.dumps(key)}: {encode(member)}" for key, member in value.items())
            return "{" + ", ".join(members) + "}"
        case list():
            return "[" + ", ".join(map(encode, value)) + "]"
        case _:
            return json.dumps(value)


def _parsed(text: str) -> Json:
    """Return the document that a string holds; None if it holds none."""
    try:
        found: Json = json.loads(text, parse_float=Number, parse_int=Number, parse_constant=Special)
    except ValueError:
        return None
    return found


def _integer(value: Number) -> Json:
    number = Decimal(value)
    if number != number.to_integral_value():
        raise LostValueError("a fraction in a column of integers")
    return Number(f"{number:.0f}") if number.adjusted() < 40 else value  # noqa: PLR2004 - out of range


def _check_scale(value: str, modifier: int) -> None:
    """Refuse what would be rounded."""
    if modifier == _NO_MODIFIER:
        return
    try:
        number = Decimal(value)
    except ArithmeticError:
        return  # the server refuses it, or knows the word
    raw = (modifier - _HEADER) & _SCALE_BITS
    scale = (raw ^ 1024) - 1024
    if _decimal_places(number) > scale:
        raise LostValueError(f"more than {scale} decimal places")


def _decimal_places(number: Decimal) -> float:
    """Return how many decimal places a number needs; negative if it ends with zeros before them."""
    _, digits, exponent = number.as_tuple()
    if not number or not isinstance(exponent, int):
        return -math.inf
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return -exponent - zeros


def _bytes(value: Json) -> str:
    """Return bytes as PostgreSQL's hex."""
    match value:
        case {"type": "Buffer", "data": list() as members}:
            return _octets(members)
        case {"$base64": True, "encoded": str() as text}:
            return "\\x" + _base64(text).hex()
        case list() as members:
            return _octets(members)
        case dict() if list(value) == [str(number) for number in range(len(value))]:
            return _octets(list(value.values()))
        case str() if type(value) is str:
            if value.startswith("\\x"):
                return value
            if value and _HEXADECIMAL.fullmatch(value):
                raise UndecidedError("text that may be hex or base64")
            return "\\x" + _base64(value).hex()
        case _:
            raise LostValueError("no bytes")


def _octets(members: list[Json]) -> str:
    try:
        return "\\x" + bytes(int(str(member)) for member in members).hex()
    except ValueError as error:
        raise LostValueError("no bytes") from error


def _base64(text: str) -> bytes:
    bare = re.sub(r"\s+", "", text).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error as error:
        raise LostValueError("no base64") from error


def _interval(value: Json) -> str:
    if isinstance(value, dict):
        return " ".join(f"{number} {unit}" for unit, number in value.items())
    if type(value) is not str:
        raise UndecidedError("numbers as intervals")
    return value


def _time(value: Json, kind: str, modifier: int) -> str:
    if type(value) is not str:
        raise LostValueError("no time of day")
    found = re.fullmatch(r"\d\d?:\d\d(?::\d\d(?:\.(\d+))?)?\s*([Zz]|[+-][\d:]+)?", value.strip())
    if found is None:
        raise UndecidedError("times that are no ISO 8601")
    if kind == "time" and found[2]:
        raise LostValueError("an offset in a column without one")
    _check_fraction(found[1], modifier)
    return value


def _check_fraction(fraction: str | None, modifier: int) -> None:
    kept = _FRACTION_DIGITS if modifier == _NO_MODIFIER else modifier
    if fraction and fraction[kept:].strip("0"):
        raise LostValueError(f"more than {kept} digits of a second")


def _in_utc(text: str, zone: str) -> str:
    offset = "+00:00" if zone.upper() in {"Z", "UTC"} else zone
    if len(offset) == len("+00"):
        offset += ":00"
    stamp, _, fraction = text.partition(".")
    try:
        moment = dt.datetime.fromisoformat(stamp + offset).astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise LostValueError("no instant") from error
    return f"{moment.replace(tzinfo=None).isoformat(' ', 'seconds')}.{fraction}"


def _fits(numbers: list[int], scale: int) -> bool:
    return all(
        _FIRST_S <= number // scale <= _LAST_S and abs(number // scale) > _YEAR_S
        for number in numbers
    )


def _from_epoch(number: Decimal, scale: int) -> str:
    seconds, rest = divmod(number, scale)
    moment = _EPOCH + dt.timedelta(seconds=int(seconds))
    fraction = f"{rest / scale:.12f}".partition(".")[2].rstrip("0")
    return f"{moment.replace(tzinfo=None).isoformat('T', 'seconds')}.{fraction or '0'}Z"


_READERS: dict[str, Callable[[Json], str]] = {"bytea": _bytes, "interval": _interval}
