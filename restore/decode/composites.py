"""JSON arrays and objects as literals of arrays and of types that are made of parts."""

from __future__ import annotations

import decimal
import re
from typing import TYPE_CHECKING, Any

import msgspec

from restore.decode.datetimes import TEMPORAL
from restore.decode.scalars import INTEGER_BITS, TEXTS, not_a_scalar
from restore.errors import LossyValueError
from restore.source.json_values import members_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from restore.target.catalog import Column, Type

# Types whose values are never JSON documents. Of others PostgreSQL's own input decides.
_SCALARS = frozenset(
    {*INTEGER_BITS, *TEXTS, *TEMPORAL, "bool", "float4", "float8", "numeric", "money", "uuid"}
) - {"interval"}
# MAXDIM in PostgreSQL's c.h.
_MOST_DIMENSIONS = 6
# Nothing that was matched is tried in another way, which could take for ever.
_QUOTED = r'"(?:[^"\\]|\\.|"")*+"'
_FIELD = rf'((?:{_QUOTED}|\\.|[^",)\\])*+),'
_EACH_FIELD = re.compile(_FIELD, re.DOTALL)
_FIELDS = re.compile(f"(?:{_FIELD})*+", re.DOTALL)
_ARRAY_BOUNDS = re.compile(r"\s*(?:\[[^\]]*\]\s*)+=")
_TEXT = re.compile(rf"({_QUOTED})|\\(.)", re.DOTALL)
_ESCAPE = re.compile(r'\\(.)|""', re.DOTALL)
# The parts in which node-postgres gives an interval, largest first.
_INTERVAL_PARTS = ("years", "months", "days", "hours", "minutes", "seconds", "milliseconds")

_numbers = msgspec.json.Decoder(dict[str, decimal.Decimal])
_texts = msgspec.json.Decoder(dict[str, str | None])


def _part_of(ends: str) -> re.Pattern[str]:
    one = rf'(?:[^{ends},"\\\s]|\\.)'
    return re.compile(rf"{_QUOTED}|{one}(?:(?:\s|{one})*{one})?", re.DOTALL)


_DAY = r"(?!0000)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_TIME_OF_DAY = r"[ T](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?"
# Bounds that PostgreSQL takes as they are, by their type without a modifier.
_EXACT_BOUNDS = {
    "date": _DAY,
    "timestamp": _DAY + _TIME_OF_DAY,
    "timestamptz": _DAY + _TIME_OF_DAY + r"(?:Z|[+-]\d\d(?::?\d\d)?)",
    "int4": r"-?\d+",
    "int8": r"-?\d+",
    "numeric": r"-?\d+(?:\.\d+)?",
}


def _ranges_of(bound: str) -> re.Pattern[str]:
    one = rf'(?:[\[(](?:{bound}|"{bound}")?,(?:{bound}|"{bound}")?[\])]|empty)'
    return re.compile(rf"{one}|\{{(?:{one}(?:,{one})*)?\}}", re.ASCII)


_EXACT_RANGES = {name: _ranges_of(bound) for name, bound in _EXACT_BOUNDS.items()}
_MEMBER = _part_of("{}")
_BOUND = _part_of(r"\[\](){}")


def array_literal(raw: bytes, text_of: Callable[[bytes], str | None], *, of_documents: bool) -> str:
    """Return the text of a PostgreSQL array.

    Args:
        raw: a JSON array; arrays in it are further dimensions.
        text_of: gives a member's text; None: NULL.
        of_documents: the members are JSON, so an array in the array is one of them.

    Source: "Array Input and Output Syntax" in PostgreSQL's documentation.
    """
    return _literal(raw, text_of, dimensions=1 if of_documents else _MOST_DIMENSIONS)


def _literal(raw: bytes, text_of: Callable[[bytes], str | None], *, dimensions: int) -> str:
    """Return the text of an array of at most so many dimensions."""
    parts = []
    for member in members_of(raw):
        data = bytes(member)
        if data[:1] == b"[" and dimensions > 1:
            parts.append(_literal(data, text_of, dimensions=dimensions - 1))
            continue
        text = text_of(data)
        parts.append("NULL" if text is None else _quoted(text))
    return f"{{{','.join(parts)}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def record_literal(parts: Iterable[str | None]) -> str:
    """Return the text of a composite value; None: NULL.

    Source: "Composite Type Input and Output Syntax" in PostgreSQL's documentation.
    """
    return f"({','.join('' if part is None else _quoted(part) for part in parts)})"


def record_parts(literal: str) -> list[str | None] | None:
    """Return the parts of a composite value's text; None: it is none."""
    text = literal.strip()
    inner = f"{text[1:-1]},"
    if text[:1] + text[-1:] != "()" or _FIELDS.fullmatch(inner) is None:
        return None
    return [_unquoted(part) if part else None for part in _EACH_FIELD.findall(inner)]


def with_parts(literal: str, convert: Callable[[str], str | None], *, of_range: bool) -> str:
    """Return the text of an array, a range or a multirange with its parts converted."""

    def converted(found: re.Match[str]) -> str:
        if found[0].lower() in {"null", "empty"}:
            return found[0]
        part = convert(_unquoted(found[0]))
        return "NULL" if part is None else _quoted(part)

    bounds = None if of_range else _ARRAY_BOUNDS.match(literal)
    start = bounds.end() if bounds else 0
    return literal[:start] + (_BOUND if of_range else _MEMBER).sub(converted, literal[start:])


def is_exact_range(type_: Type, text: str) -> bool:
    """Return whether PostgreSQL takes each bound of a range or a multirange as it is."""
    pattern = _EXACT_RANGES.get(type_.bound.name) if type_.bound and type_.part_typmod < 0 else None
    return pattern is not None and pattern.fullmatch(text) is not None


def _unquoted(part: str) -> str:
    return _TEXT.sub(
        lambda found: found[2] or _ESCAPE.sub(lambda each: each[1] or '"', found[1][1:-1]), part
    )


def composite_literal(column: Column, raw: bytes) -> str:
    """Return the literal that a JSON object or array stands for in a column that is not JSON.

    Raises:
        LossyValueError: the column takes no documents.
    """
    name = column.type.name
    if name in _SCALARS or column.type.is_enum:
        raise not_a_scalar(column)
    if column.type.fields is not None or column.type.bound is not None:
        raise LossyValueError(f"no {name} can be made of this document")
    if raw[:1] == b"{":
        made = _FROM_OBJECT.get(name)
        try:
            return made(raw) if made is not None else raw.decode()
        except (msgspec.DecodeError, RecursionError, KeyError) as error:
            raise LossyValueError(f"no {name} can be made of this document: {error}") from error
    return raw.decode()


def _interval(raw: bytes) -> str:
    parts = _exactly(raw, *_INTERVAL_PARTS)
    return " ".join(f"{parts[unit]:f} {unit}" for unit in _INTERVAL_PARTS if unit in parts) or "0"


def _exactly(raw: bytes, *names: str) -> dict[str, decimal.Decimal]:
    parts = _numbers.decode(raw)
    unknown = parts.keys() - set(names)
    if unknown:
        raise LossyValueError(f"no column of this type has a part {min(unknown)!r}")
    return parts


def _point(raw: bytes) -> str:
    parts = _exactly(raw, "x", "y")
    return f"({parts['x']},{parts['y']})"


def _circle(raw: bytes) -> str:
    parts = _exactly(raw, "x", "y", "radius")
    return f"<({parts['x']},{parts['y']}),{parts['radius']}>"


def _hstore(raw: bytes) -> str:
    pairs: dict[str, Any] = _texts.decode(raw)
    return ", ".join(
        f"{_quoted(key)}=>{'NULL' if value is None else _quoted(value)}"
        for key, value in pairs.items()
    )


_FROM_OBJECT: dict[str, Callable[[bytes], str]] = {
    "interval": _interval,
    "point": _point,
    "circle": _circle,
    "hstore": _hstore,
}
