"""JSON arrays and objects as literals of arrays and of types that are made of parts."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any

import msgspec

from restore.decode.datetimes import TEMPORAL
from restore.decode.scalars import INTEGER_BITS, TEXTS, not_a_scalar
from restore.errors import LossyValueError
from restore.source.json_values import members_of, values_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.target.catalog import Column, Type

# Types whose values are never JSON documents. Of others PostgreSQL's own input decides.
_SCALARS = frozenset(
    {*INTEGER_BITS, *TEXTS, *TEMPORAL, "bool", "float4", "float8", "numeric", "money", "uuid"}
) - {"interval"}
# MAXDIM in PostgreSQL's c.h.
_MOST_DIMENSIONS = 6
# The parts in which node-postgres gives an interval, largest first.
_INTERVAL_PARTS = ("years", "months", "days", "hours", "minutes", "seconds", "milliseconds")

_numbers = msgspec.json.Decoder(dict[str, decimal.Decimal])
_texts = msgspec.json.Decoder(dict[str, str | None])


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


def holds_objects(raw: bytes) -> bool:
    """Tell whether some member of a JSON array is an object."""
    return any(bytes(member)[:1] == b"{" for member in members_of(raw))


def composite_literal(column: Column, raw: bytes) -> str:
    """Return the literal that a JSON object or array stands for in a column that is not JSON.

    Raises:
        LossyValueError: the column takes no documents.
    """
    name = column.type.name
    if name in _SCALARS or column.type.is_enum:
        raise not_a_scalar(column)
    composite = column.type if column.type.element is None else column.type.element
    if composite.fields is not None:
        _check_fields(composite, raw)
    if raw[:1] == b"{":
        made = _FROM_OBJECT.get(name)
        try:
            return made(raw) if made is not None else raw.decode()
        except (msgspec.DecodeError, RecursionError, KeyError) as error:
            raise LossyValueError(f"no {name} can be made of this document: {error}") from error
    return raw.decode()


def _check_fields(composite: Type, raw: bytes) -> None:
    """See that a composite type has every field of an object, or of the objects in an array.

    Raises:
        LossyValueError: the server would leave one out in silence.
    """
    try:
        members = members_of(raw if raw[:1] == b"[" else b"[%b]" % raw)
        objects = [values_of(each) for each in members if bytes(each)[:1] not in {b"n", b'"'}]
    except msgspec.DecodeError as error:
        raise LossyValueError(
            f"no {composite.name} can be made of this document: {error}"
        ) from error
    unknown = {name for fields in objects for name in fields} - (composite.fields or set())
    if unknown:
        raise LossyValueError(f"type {composite.name} has no field {min(unknown)!r}")


def _interval(raw: bytes) -> str:
    parts = _numbers.decode(raw)
    unknown = parts.keys() - set(_INTERVAL_PARTS)
    if unknown:
        raise LossyValueError(f"no interval has a part {min(unknown)!r}")
    return " ".join(f"{parts[unit]:f} {unit}" for unit in _INTERVAL_PARTS if unit in parts) or "0"


def _point(raw: bytes) -> str:
    parts = _numbers.decode(raw)
    return f"({parts['x']},{parts['y']})"


def _circle(raw: bytes) -> str:
    parts = _numbers.decode(raw)
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
