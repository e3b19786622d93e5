"""How one JSON value becomes exactly what a column takes, or is refused; never a guess.

Two ways lead into a column. ``Converter.to_python`` gives a Python value that stands for the JSON
value without loss; it also knows what PostgreSQL's own input does not: numbers that are instants,
``3.0`` for an integer, a JavaScript buffer. ``Converter.to_literal`` gives the text from which the
server makes the value, once it is sure that the server would neither round, nor cut off, nor
interpret.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import re
from typing import TYPE_CHECKING, Any

from restore.decode import datetimes, scalars
from restore.decode.composites import array_literal, composite_literal, holds_objects
from restore.decode.expressions import form_of
from restore.errors import LossyValueError, UnsupportedFormError

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.target.catalog import Column

_DOCUMENTS = frozenset({"json", "jsonb"})
_DECIMALS = re.compile(r"\.(\d+)\D*$")
_MONEY_DECIMALS = 2


class Converter:
    """Converts JSON values for the columns of one table.

    Args:
        timezone: the zone of instants that are written without one.

    Attributes:
        notes: what a person should know of how values were read, a line each.
        is_utc: the zone is UTC.
    """

    def __init__(self, timezone: str = "UTC") -> None:
        self.notes: set[str] = set()
        self.is_utc = timezone == "UTC"
        zone: dt.tzinfo = dt.UTC
        if not self.is_utc:
            from zoneinfo import ZoneInfo  # noqa: PLC0415 - most restores need none

            zone = ZoneInfo(timezone)
        self._by_type: dict[str, Callable[[Column, bytes], Any]] = {
            "bool": scalars.boolean,
            "bytea": scalars.decode_bytes,
            "date": lambda column, raw: datetimes.date(column, raw, zone),
            "float4": scalars.floating,
            "float8": scalars.floating,
            "numeric": scalars.numeric,
            "time": datetimes.time,
            "uuid": scalars.identifier,
            "timestamp": lambda column, raw: datetimes.timestamp(column, raw, self.notes),
            "timestamptz": lambda column, raw: datetimes.timestamptz(column, raw, zone, self.notes),
            **dict.fromkeys(scalars.INTEGER_BITS, scalars.integer),
            **dict.fromkeys(scalars.TEXTS, scalars.text),
        }

    def to_python(self, column: Column, raw: bytes) -> Any:  # noqa: ANN401 - any type of PostgreSQL's
        """Return the Python value of the column's type that a JSON value stands for, without loss.

        Of types that Python has none for, it is the text of a literal.

        Raises:
            UnsupportedFormError: PostgreSQL may read it, we do not.
            LossyValueError: the column cannot hold it as it is.
        """
        convert = self._by_type.get(column.type.name)
        if convert is None:
            if form_of(column, raw, is_instant=False) != "plain":
                raise UnsupportedFormError("the server makes a composite value of a document")
            return self.to_literal(column, raw)
        return None if raw == b"null" else convert(column, raw)

    def supports(self, column: Column) -> bool:
        """Tell whether ``to_python`` reads values of a column's type itself, strings too."""
        return column.type.name in self._by_type

    def to_literal(self, column: Column, raw: bytes) -> str | None:
        """Return the text from which PostgreSQL makes the value, if it makes it without loss.

        Raises:
            LossyValueError: it cannot, or what it would make is a guess.
        """
        if column.type.name in _DOCUMENTS:
            # A document that must not be NULL can only mean JSON's own null.
            return None if raw == b"null" and not column.not_null else raw.decode()
        if raw == b"null":
            return None
        element = column.type.element
        if (
            element is not None
            and raw[:1] == b"["
            and not (element.kind == "c" and holds_objects(raw))
        ):
            member = dataclasses.replace(column, type=element, not_null=False)
            documents = element.name in _DOCUMENTS
            return array_literal(
                raw, lambda data: self._member(member, data), of_documents=documents
            )
        if raw[:1] in (b"{", b"["):
            return composite_literal(column, raw)
        text = scalars.scalar(raw)
        _check_literal(column, text)
        return text

    def _member(self, member: Column, raw: bytes) -> str | None:
        """Return an array's member as the text of a literal."""
        if member.type.name in _DOCUMENTS:
            return None if raw == b"null" else raw.decode()
        try:
            return as_text(self.to_python(member, raw))
        except UnsupportedFormError:
            return self.to_literal(member, raw)


def as_text(value: object) -> str | None:
    """Return a typed value as the text of a literal; None for None."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case bytes():
            return f"\\x{value.hex()}"
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case dt.datetime():
            return value.isoformat(" ")
    return str(value)


def _check_literal(column: Column, text: str) -> None:
    """Refuse what PostgreSQL would round, cut off or interpret.

    Raises:
        LossyValueError: the reason.
    """
    kind = column.type.name
    if kind == "numeric" and scalars.numeric_scale(column) is not None:
        raise LossyValueError(f"{scalars.quote_value(text)} is no decimal number")
    if kind == "money":
        places = _DECIMALS.search(text)
        if places and len(places[1].rstrip("0")) > _MONEY_DECIMALS:
            raise LossyValueError(
                f"{scalars.quote_value(text)} has more than {_MONEY_DECIMALS} decimal places"
            )
    if kind in datetimes.TEMPORAL:
        datetimes.check_literal(column, text)
