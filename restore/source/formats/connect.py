"""Values as the schemas of Kafka Connect and Debezium describe them."""

from __future__ import annotations

import binascii
from collections.abc import Callable

import msgspec

from restore.source.formats.format import FormatError
from restore.source.formats.rows import hex_text, iso_timestamp
from restore.source.json_values import DECODE_ERRORS, check_value, members_of

Converter = Callable[[msgspec.Raw], object]
"""Makes a value for PostgreSQL of one in an event, which is not null. Raises ValueError."""

_SECOND, _DAY = 1_000_000, 86_400_000_000
_BILLION = 1_000_000_000
_integer = msgspec.json.Decoder(int).decode
_text = msgspec.json.Decoder(str).decode


class _Schema(msgspec.Struct):
    type: str
    field: str = ""
    name: str = ""
    parameters: dict[str, str] = {}
    fields: list[_Schema] = []
    items: _Schema | None = None


class _ScaledDecimal(msgspec.Struct):
    scale: int
    value: str


class _Point(msgspec.Struct):
    x: msgspec.Raw
    y: msgspec.Raw


def converters_of(schema: bytes) -> dict[str, Converter]:
    """Return what converts a row's values, for the columns that need it.

    Args:
        schema: the schema of a change event; null: it has none.

    Raises:
        FormatError: it is none of a change event.
    """
    try:
        found = msgspec.json.decode(schema, type=_Schema | None)
    except DECODE_ERRORS as error:
        raise FormatError(f"a schema is not that of a change event: {error}") from None
    converters = {}
    for row in found.fields if found else ():
        for column in row.fields if row.field == "after" else ():
            try:
                converter = _converter(column)
            except ValueError as error:
                raise FormatError(f"the schema of {column.field} is invalid: {error}") from None
            if converter is not None:
                converters[column.field] = converter
    return converters


def _converter(schema: _Schema) -> Converter | None:
    """Return what converts a value; None: it is right as it is."""
    if schema.items is not None:
        return _list_converter(schema.items)
    if schema.name == "org.apache.kafka.connect.data.Decimal":
        scale = int(schema.parameters.get("scale", "0"))
        return lambda value: _decimal(_text(value), scale)
    if schema.name == "io.debezium.data.Bits":
        length = int(schema.parameters.get("length", "1"))
        return lambda value: _bits(_text(value), length)
    return _BY_NAME.get(schema.name, hex_text if schema.type == "bytes" else None)


def _list_converter(items: _Schema) -> Converter | None:
    convert = _converter(items)
    if convert is None:
        return None
    return lambda value: [
        None if bytes(item) == b"null" else convert(item) for item in members_of(bytes(value))
    ]


def _date(value: msgspec.Raw) -> str:
    return iso_timestamp(_integer(value) * _DAY).replace("T00:00:00Z", "")


def _timestamp(units_a_second: int) -> Converter:
    def convert(value: msgspec.Raw) -> str:
        seconds, rest = divmod(_integer(value), units_a_second)
        return iso_timestamp(seconds * _SECOND).replace("Z", f"{_fraction(rest, units_a_second)}Z")

    return convert


def _time(units_a_second: int) -> Converter:
    def convert(value: msgspec.Raw) -> str:
        seconds, rest = divmod(_integer(value), units_a_second)
        minutes, second = divmod(seconds, 60)
        hours, minute = divmod(minutes, 60)
        return f"{hours:02}:{minute:02}:{second:02}{_fraction(rest, units_a_second)}"

    return convert


def _fraction(rest: int, units_a_second: int) -> str:
    digits = f"{rest * (_BILLION // units_a_second):09}".rstrip("0")
    return f".{digits}" if digits else ""


def _duration(value: msgspec.Raw) -> str:
    return f"{_integer(value)} microseconds"


def _decimal(base64: str, scale: int) -> msgspec.Raw:
    try:
        number = int.from_bytes(binascii.a2b_base64(base64, strict_mode=True), signed=True)
    except ValueError:
        raise ValueError("has a decimal that is not in base64") from None
    digits = str(abs(number)).rjust(scale + 1, "0") + "0" * -scale
    text = f"{digits[:-scale]}.{digits[-scale:]}" if scale > 0 else digits
    return msgspec.Raw(f"{'-' * (number < 0)}{text}".encode())


def _scaled_decimal(value: msgspec.Raw) -> msgspec.Raw:
    found = msgspec.json.decode(value, type=_ScaledDecimal)
    return _decimal(found.value, found.scale)


def _bits(base64: str, length: int) -> str:
    number = int.from_bytes(binascii.a2b_base64(base64, strict_mode=True), "little")
    return f"{number:0{length}b}"


def _document(value: msgspec.Raw) -> msgspec.Raw:
    text = _text(value).encode()
    check_value(text)
    return msgspec.Raw(text)


def _point(value: msgspec.Raw) -> str:
    point = msgspec.json.decode(value, type=_Point)
    return f"({bytes(point.x).decode()},{bytes(point.y).decode()})"


def _geometry(value: msgspec.Raw) -> object:
    start = bytes(value)[:40].decode(errors="replace")
    raise ValueError(f"has a geometry ({start}); export its table by other means")


_BY_NAME: dict[str, Converter] = {
    "io.debezium.time.Date": _date,
    "io.debezium.time.Timestamp": _timestamp(1_000),
    "io.debezium.time.MicroTimestamp": _timestamp(1_000_000),
    "io.debezium.time.NanoTimestamp": _timestamp(_BILLION),
    "io.debezium.time.Time": _time(1_000),
    "io.debezium.time.MicroTime": _time(1_000_000),
    "io.debezium.time.NanoTime": _time(_BILLION),
    "io.debezium.time.MicroDuration": _duration,
    "io.debezium.data.VariableScaleDecimal": _scaled_decimal,
    "io.debezium.data.Json": _document,
    "io.debezium.data.geometry.Point": _point,
    "io.debezium.data.geometry.Geometry": _geometry,
    "io.debezium.data.geometry.Geography": _geometry,
    "org.apache.kafka.connect.data.Date": _date,
    "org.apache.kafka.connect.data.Timestamp": _timestamp(1_000),
    "org.apache.kafka.connect.data.Time": _time(1_000),
}
