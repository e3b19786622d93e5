"""How one JSON value becomes exactly what a column takes, or is refused; never a guess.

Two ways lead into a column. ``Converter.to_python`` gives a Python value that stands for the JSON
value without loss; it also knows what PostgreSQL's own input does not: numbers that are instants,
``3.0`` for an integer, a JavaScript buffer. ``Converter.to_literal`` gives the text from which the
server makes the value, once it is sure that the server would neither round, nor cut off, nor
interpret.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import TYPE_CHECKING, Any

import msgspec
import msgspec.structs

from restore.decode import datetimes, intervals, scalars
from restore.decode.composites import (
    array_literal,
    composite_literal,
    is_exact_range,
    record_literal,
    record_parts,
    with_parts,
)
from restore.decode.policies import DATED, NO_POLICIES, PolicyLog, ValuePolicies
from restore.errors import LossyValueError, UnsupportedFormError
from restore.source.json_values import values_of
from restore.source.recovery import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from restore.target.catalog import Column, Type

_DOCUMENTS = frozenset({"json", "jsonb"})
_DECIMALS = re.compile(r"\.(\d+)\D*$")
_MONEY_DECIMALS = 2


class Converter:
    """Converts JSON values for the columns of one table.

    Args:
        timezone: the zone of instants that are written without one.
        policies: what is done with values that may be refused, or mean several things.

    Attributes:
        log: notes the values that policies change.
        is_utc: the zone is UTC.
    """

    def __init__(self, timezone: str = "UTC", policies: ValuePolicies = NO_POLICIES) -> None:
        self.log = log = PolicyLog(policies)
        self._timezone = timezone
        self.is_utc = timezone == "UTC"
        zone: dt.tzinfo = dt.UTC
        if not self.is_utc:
            from zoneinfo import ZoneInfo  # noqa: PLC0415 - most restores need none

            zone = ZoneInfo(timezone)
        self._by_type: dict[str, Callable[[Column, bytes], Any]] = {
            "bool": scalars.boolean,
            "bytea": lambda column, raw: scalars.decode_bytes(raw, policies.reading(column).bytea),
            "date": lambda column, raw: datetimes.date(column, raw, zone, log),
            "float4": scalars.floating,
            "float8": scalars.floating,
            "numeric": scalars.numeric,
            "time": lambda column, raw: datetimes.time(column, raw, log),
            "uuid": scalars.identifier,
            "timestamp": lambda column, raw: datetimes.timestamp(column, raw, log),
            "timestamptz": lambda column, raw: datetimes.timestamptz(column, raw, zone, log),
            **dict.fromkeys(scalars.INTEGER_BITS, scalars.integer),
            **dict.fromkeys(scalars.TEXTS, lambda column, raw: scalars.text(column, raw, log)),
        }

    def another(self) -> Converter:
        """Return one that converts alike, with a log of its own."""
        return Converter(self._timezone, self.log.policies)

    def take_changes(self) -> tuple[str, ...]:
        """Return what policies changed since the last call."""
        if not self.log.changes:
            return ()
        changes = tuple(self.log.changes)
        self.log.changes.clear()
        return changes

    def to_python(self, column: Column, raw: bytes) -> Any:  # noqa: ANN401 - any type of PostgreSQL's
        """Return the Python value of the column's type that a JSON value stands for, without loss.

        Of types that Python has none for, it is the text of a literal.

        Raises:
            UnsupportedFormError: PostgreSQL may read it, we do not.
            LossyValueError: the column cannot hold it as it is.
        """
        if self.log.becomes_null(column, raw):
            return None
        convert = self._by_type.get(column.type.name)
        if convert is None:
            return self.to_literal(column, raw)
        return None if raw == b"null" else convert(column, raw)

    def to_binary(self, column: Column, raw: bytes) -> bytes | None:
        """Return the binary form of an address or an interval in a usual form.

        Raises:
            UnsupportedFormError: it has another form.
            LossyValueError: it is a number whose unit is not known.
        """
        if self.log.becomes_null(column, raw):
            return None
        if column.type.name != "interval":
            return scalars.address(column, raw)
        number = datetimes.number_interval(column, raw, self.log)
        return intervals.interval(column, raw) if number is None else number

    def supports(self, column: Column) -> bool:
        """Tell whether ``to_python`` reads values of a column's type itself, strings too."""
        return column.type.name in self._by_type

    def to_literal(self, column: Column, raw: bytes) -> str | None:
        """Return the text from which PostgreSQL makes the value, if it makes it without loss.

        Raises:
            LossyValueError: it cannot, or what it would make is a guess.
        """
        if self.log.becomes_null(column, raw):
            return None
        is_document = column.type.name in _DOCUMENTS
        if raw == b"null" and not (is_document and column.not_null):
            return None  # a document that must not be NULL can only mean JSON's own null
        if is_document:
            return self.document(column, raw).decode()
        return self._composite(column, raw) if raw[:1] in b"{[" else self._text(column, raw)

    def _composite(self, column: Column, raw: bytes) -> str:
        """Return the literal of an array or of a composite value, from a JSON array or object."""
        element = column.type.element
        if column.type.fields is not None and raw[:1] == b"{":
            return self._record(column, values_of(raw))
        if element is None or raw[:1] != b"[":
            text = composite_literal(column, raw)
            self._check_literal(column, text)
            return text
        member = _member_of(column, element)
        documents = element.name in _DOCUMENTS
        return array_literal(raw, lambda data: self._member(member, data), of_documents=documents)

    def _record(self, column: Column, values: Mapping[str, bytes | msgspec.Raw]) -> str:
        """Return the literal of a composite value, from its fields."""
        fields = column.type.fields or ()
        unknown = values.keys() - {field.name for field in fields}
        if unknown:
            raise LossyValueError(f"type {column.type.name} has no field {min(unknown)!r}")
        return record_literal(
            self._member(_part(column, field), bytes(values.get(field.name, b"null")))
            for field in fields
        )

    def _parts(self, column: Column, text: str) -> str:
        """Return the literal of an array, a composite value or a range, from one with its parts."""
        element, fields, bound = column.type.element, column.type.fields, column.type.bound
        if fields is not None:
            parts = record_parts(text)
            if parts is None or len(parts) != len(fields):
                return text  # which the server refuses
            named = zip((_part(column, field) for field in fields), parts, strict=True)
            return record_literal(
                None if part is None else self._reread(field, part) for field, part in named
            )
        if is_exact_range(column.type, text):
            return text
        of = element or bound
        if of is None or not self._may_change(of) or (element and "{" not in text):
            return text
        member = _member_of(column, of)
        return with_parts(text, lambda part: self._reread(member, part), of_range=element is None)

    def _may_change(self, type_: Type) -> bool:
        """Tell if the server may round, cut off or interpret texts of a type."""
        return (
            type_.name in self._by_type
            or type_.name in datetimes.TEMPORAL
            or type_.name == "money"
            or type_.fields is not None
            or type_.bound is not None
        )

    def _reread(self, member: Column, text: str) -> str | None:
        """Return a part of a literal as the text of a literal."""
        return (
            text
            if member.type.name in _DOCUMENTS
            else self._member(member, msgspec.json.encode(text))
        )

    def _text(self, column: Column, raw: bytes) -> str:
        """Return the literal of a string, a number or a boolean."""
        text = scalars.scalar(raw)
        if column.type.name in DATED:
            text = datetimes.as_iso(text, self.log)
        if column.type.name == "interval" and scalars.NUMBER.fullmatch(text):
            return f"{datetimes.microseconds(column, text, self.log)} microseconds"
        if column.type.has_parts:
            return self._parts(column, text)
        self._check_literal(column, text)
        return text

    def document(self, column: Column, raw: bytes) -> bytes:
        """Return the JSON document that a value of a json or jsonb column stands for.

        Raises:
            LossyValueError: the column's strings are parsed, and this one holds no document.
        """
        if raw[:1] == b'"' and self.log.policies.reading(column).parses_strings:
            text = scalars.string(raw).encode()
            try:
                msgspec.json.decode(text, type=msgspec.Raw)
            except DECODE_ERRORS as error:
                raise LossyValueError(
                    f"{scalars.quote_value(text.decode())} in column {column.name} is not JSON:"
                    " --json-strings keep loads strings as they are"
                ) from error
            raw = text.strip()
        of = column.type.element or column.type
        return self.log.document_without_nul(column, raw) if of.name == "jsonb" else raw

    def _member(self, member: Column, raw: bytes) -> str | None:
        """Return an array's member as the text of a literal."""
        if member.type.name in _DOCUMENTS:
            return None if raw == b"null" else self.document(member, raw).decode()
        try:
            return as_text(self.to_python(member, raw))
        except UnsupportedFormError:
            text = self.to_literal(member, raw)
        if text is not None and member.type.name == "timestamp":
            datetimes.check_without_zone(text)
        return text

    def _check_literal(self, column: Column, text: str) -> None:
        """Refuse what PostgreSQL would round, cut off or interpret.

        Raises:
            LossyValueError: the reason.
        """
        kind = column.type.name
        if kind == "numeric" and scalars.numeric_scale(column) is not None:
            raise LossyValueError(f"{scalars.quote_value(text)} is not a decimal number")
        if kind == "money":
            places = _DECIMALS.search(text)
            if places and len(places[1].rstrip("0")) > _MONEY_DECIMALS:
                raise LossyValueError(
                    f"{scalars.quote_value(text)} has more than {_MONEY_DECIMALS} decimal places"
                )
        if kind in datetimes.TEMPORAL:
            datetimes.check_literal(column, text, self.log)


def _member_of(column: Column, type_: Type) -> Column:
    """Return the elements of an array, or the bounds of a range, as a column of their type."""
    typmod = column.typmod if column.type.part_typmod < 0 else column.type.part_typmod
    return msgspec.structs.replace(column, type=type_, not_null=False, typmod=typmod)


def _part(column: Column, field: Column) -> Column:
    """Return a field of a composite type as a column, of whose name there is no other."""
    return msgspec.structs.replace(field, name=f"{column.name}.{field.name}", not_null=False)


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
