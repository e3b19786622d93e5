"""Numbers, texts and bytes: how they are written in JSON, and what a column keeps of them."""

from __future__ import annotations

import binascii
import decimal
import math
import re
import socket
import uuid
from typing import TYPE_CHECKING

import msgspec

from restore.errors import LossyValueError, UnsupportedFormError

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore.decode.policies import PolicyLog
    from restore.options import Bytea
    from restore.target.catalog import Column

INTEGER_BITS = {"int2": 16, "int4": 32, "int8": 64}
TEXTS = frozenset({"text", "varchar", "bpchar", "citext", "name", "char"})
NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,9})?\s*", re.ASCII)
# PostgreSQL's numeric holds so many digits before the decimal point; more would only fill memory.
# Source: "Numeric Types" in its documentation.
MOST_DIGITS = 131_072

_SPECIAL_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})
_BOOLEANS = {
    **dict.fromkeys((b"true", b"1", b'"true"', b'"t"', b'"1"', b'"True"', b'"TRUE"'), True),
    **dict.fromkeys((b"false", b"0", b'"false"', b'"f"', b'"0"', b'"False"', b'"FALSE"'), False),
}
# A type's modifier counts the four bytes of a value's header: VARHDRSZ in PostgreSQL's c.h.
_HEADER_BYTES = 4
_NAME_BYTES = 63
# From half of the last step on, a float4 rounds up to infinity; up to half of the first, to zero.
_FLOAT4_OVERFLOW, _FLOAT4_UNDERFLOW = 2.0**128 - 2.0**103, 2.0**-150
_SHOWN = 60
# MySQL writes 0x before it.
HEX = re.compile(r"(?:0x)?(?:[0-9a-fA-F]{2})+", re.ASCII)
_EXPECTED_BYTES = "expected base64, hex or a buffer"
# PostgreSQL's encode breaks lines by LF, MIME by CR and LF, and some tools indent them.
_NO_LINE_BREAKS = str.maketrans("", "", "\r\n\t ")
_OF_BASE64URL = str.maketrans("-_", "+/")
_exact = decimal.Context(
    prec=decimal.MAX_PREC, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX, traps=[decimal.Inexact]
)


def quote_value(text: str) -> str:
    """Return a value, quoted and shortened, for a message."""
    text = text.strip()
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def string(raw: bytes) -> str:
    """Return what a JSON string says."""
    return msgspec.json.decode(raw, type=str)


def scalar(raw: bytes) -> str:
    """Return the text of a string, or of a number or a boolean as it is written."""
    return string(raw) if raw[:1] == b'"' else raw.decode()


def boolean(_: Column, raw: bytes) -> bool:
    """Return a boolean, also from 1 and 0, and from the usual texts.

    Raises:
        UnsupportedFormError: it is neither.
    """
    try:
        return _BOOLEANS[raw]
    except KeyError as error:
        raise UnsupportedFormError("neither true nor false") from error


def integer(column: Column, raw: bytes) -> int:
    """Return an integer, also from ``"12"`` and from ``12.0``.

    Raises:
        UnsupportedFormError: it is not a decimal number.
        LossyValueError: it is not whole, or out of the type's range.
    """
    text = scalar(raw)
    if not NUMBER.fullmatch(text):
        raise UnsupportedFormError("not a decimal number")
    number = _bounded(text)
    if number != number.to_integral_value():
        raise LossyValueError(
            f"{quote_value(text)} is not an integer, and rounding it would lose something"
        )
    value, bits = int(number), INTEGER_BITS[column.type.name]
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise LossyValueError(f"{quote_value(text)} is out of range for type {column.type.name}")
    return value


def _bounded(text: str) -> decimal.Decimal:
    number = decimal.Decimal(text.strip())
    if number and abs(number.adjusted()) > MOST_DIGITS:
        raise LossyValueError(f"{quote_value(text)} has more digits than PostgreSQL keeps")
    return number


def floating(column: Column, raw: bytes) -> float:
    """Return the nearest float, which is what such a column is for.

    Raises:
        UnsupportedFormError: it is not a decimal number.
        LossyValueError: nothing near it is a number of the type, or only zero.
    """
    text = scalar(raw)
    if text in _SPECIAL_NUMBERS:
        return float(text)
    if not NUMBER.fullmatch(text):
        raise UnsupportedFormError("not a decimal number")
    value, single = float(text), column.type.name == "float4"
    if math.isinf(value) or (single and abs(value) >= _FLOAT4_OVERFLOW):
        raise LossyValueError(f"{quote_value(text)} is out of range for type {column.type.name}")
    if abs(value) <= (_FLOAT4_UNDERFLOW if single else 0.0) and decimal.Decimal(text.strip()):
        raise LossyValueError(f"{quote_value(text)} is too small for type {column.type.name}")
    return value


def numeric(column: Column, raw: bytes) -> decimal.Decimal:
    """Return an exact number.

    Raises:
        UnsupportedFormError: it is not a decimal number.
        LossyValueError: the column would round it, or has no room for it.
    """
    text = scalar(raw)
    if text in _SPECIAL_NUMBERS:
        return decimal.Decimal(text)
    if not NUMBER.fullmatch(text):
        raise UnsupportedFormError("not a decimal number")
    number = _bounded(text)
    scale = numeric_scale(column)
    if scale is not None:
        scale_check(scale, column.name)(number)
    return number


def scale_check(scale: int, name: str) -> Callable[[decimal.Decimal], None]:
    """Return what refuses a number with more decimal places than a column keeps.

    It is called for every number of a table, so nothing is done in it that can be done before. It
    raises LossyValueError if the number has such places and they are not zeros.
    """
    last_place = decimal.Decimal((0, (1,), -scale))
    quantize = _exact.quantize

    def check(number: decimal.Decimal) -> None:
        try:
            quantize(number, last_place)
        except decimal.Inexact as error:
            places = f"more than the {scale} decimal places of column {name}"
            raise LossyValueError(f"{quote_value(str(number))} has {places}") from error

    return check


def numeric_scale(column: Column) -> int | None:
    """Return a numeric column's scale, which may be negative; None: it keeps all digits.

    Source: numeric_typmod_scale in PostgreSQL's utils/adt/numeric.c: 11 bits, signed since 15.
    """
    if column.type.name != "numeric" or column.typmod < _HEADER_BYTES:
        return None
    return (((column.typmod - _HEADER_BYTES) & 0x7FF) ^ 1024) - 1024


def numeric_precision(column: Column) -> int | None:
    """Return how many digits a numeric column keeps; None: all.

    Source: numeric_typmod_precision in PostgreSQL's utils/adt/numeric.c.
    """
    if column.type.name != "numeric" or column.typmod < _HEADER_BYTES:
        return None
    return (column.typmod - _HEADER_BYTES) >> 16 & 0xFFFF


def text_limit(column: Column) -> int | None:
    """Return how many characters a varchar or char column holds; None: any number."""
    if column.type.name not in {"varchar", "bpchar"} or column.typmod < _HEADER_BYTES:
        return None
    return column.typmod - _HEADER_BYTES


def text(column: Column, raw: bytes, log: PolicyLog) -> str:
    """Return a text, also from a number or a boolean, as it is written.

    Raises:
        LossyValueError: it is a document, or the column would cut it off.
    """
    if raw[:1] in (b"{", b"["):
        raise not_a_scalar(column)
    value, kind = log.without_nul(column, scalar(raw)), column.type.name
    limit = text_limit(column)
    # PostgreSQL cuts surplus blanks off in silence. In a char(n) they mean nothing.
    if kind == "varchar" and limit is not None and len(value) > limit:
        raise LossyValueError(f"{len(value):,} characters: column {column.name} holds {limit:,}")
    if kind == "name" and len(value.encode()) > _NAME_BYTES:
        raise LossyValueError(f"column {column.name} of type name holds {_NAME_BYTES} bytes")
    if kind == "char" and len(value.encode()) > 1:
        raise LossyValueError(f'column {column.name} of type "char" holds one byte')
    return value


# A hyphen may stand after each group of four digits: PostgreSQL's uuid.c.
_UUID = re.compile(r"(?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}")


def identifier(_: Column, raw: bytes) -> uuid.UUID:
    """Return a UUID, in any form that PostgreSQL takes: Python takes some that are none.

    Raises:
        UnsupportedFormError: it is none.
    """
    try:
        text = string(raw)
    except msgspec.DecodeError as error:
        raise UnsupportedFormError("no UUID") from error
    if _UUID.fullmatch(text.removeprefix("{").removesuffix("}")) is None:
        raise UnsupportedFormError("no UUID")
    if text.startswith("{") != text.endswith("}"):
        raise UnsupportedFormError("no UUID")
    return uuid.UUID(text)


# Without leading zeros, and the scopes of IPv6, which only one of Python and PostgreSQL reads.
_ADDRESS = re.compile(r"(?P<host>[0-9a-fA-F:.]+)(?:/(?P<bits>0|[1-9]\d{0,2}))?", re.ASCII)
# PGSQL_AF_INET and PGSQL_AF_INET6 in PostgreSQL's utils/inet.h.
_IPV4_FAMILY, _IPV6_FAMILY = 2, 3


def address(column: Column, raw: bytes) -> bytes:
    """Return the binary form of an inet or cidr value in its usual form: network_recv.

    Raises:
        UnsupportedFormError: it has another form.
    """
    found = _ADDRESS.fullmatch(string(raw)) if raw[:1] == b'"' else None
    if found is None:
        raise UnsupportedFormError("no address")
    is_ipv6 = ":" in found["host"]
    try:
        packed = socket.inet_pton(socket.AF_INET6 if is_ipv6 else socket.AF_INET, found["host"])
    except OSError as error:
        raise UnsupportedFormError("no address") from error
    most = 8 * len(packed)
    bits = int(found["bits"] or most)
    is_cidr = column.type.name == "cidr"
    if bits > most or (is_cidr and int.from_bytes(packed) & ((1 << (most - bits)) - 1)):
        raise UnsupportedFormError("no network")
    family = _IPV6_FAMILY if is_ipv6 else _IPV4_FAMILY
    return bytes((family, bits, is_cidr, len(packed))) + packed


def not_a_scalar(column: Column) -> LossyValueError:
    """Return the error of a JSON object or array in a column that takes none."""
    return LossyValueError(
        f"a JSON document does not fit column {column.name} of type {column.type.name}"
    )


def decode_bytes(raw: bytes, form: Bytea = "auto") -> bytes | None:
    r"""Return the bytes that a JSON value stands for; None for ``null``.

    Base64, PostgreSQL's hex (``"\\x48"``), MySQL's (``"0x48"``), an array of numbers, the two forms
    in which JavaScript writes a buffer, ``{"type":"Buffer","data":[72]}`` and ``{"0":72}``, and
    that of Datasette, ``{"$base64":true,"encoded":"SA=="}``.

    Args:
        raw: the value.
        form: of text that may be hex or base64; ``auto``: none is more likely.

    Raises:
        LossyValueError: it is none of these, or may be two.
    """
    try:
        if raw[:1] == b'"' and b"\\" not in raw:
            return _bytes_of_text(raw[1:-1].decode(), form)
        match msgspec.json.decode(raw):
            case str(value):
                return _bytes_of_text(value, form)
            case {"type": "Buffer", "data": list(numbers)} | list(numbers):
                return bytes(numbers)
            case {"$base64": True, "encoded": str(value)} | {"$base64": str(value)}:
                return _base64(value)
            case dict(items) if list(items) == [str(n) for n in range(len(items))]:
                return bytes(items.values())
    except (ValueError, TypeError, RecursionError) as error:
        raise LossyValueError(f"these are no bytes ({error}): {_EXPECTED_BYTES}") from error
    raise LossyValueError(f"these are no bytes: {_EXPECTED_BYTES}")


def _bytes_of_text(text: str, form: Bytea) -> bytes:
    """Decode hex or base64.

    Raises:
        ValueError: it is neither, or may be both.
    """
    if text.startswith("\\x"):
        return bytes.fromhex(text[2:])
    if text and form != "base64" and HEX.fullmatch(text):
        if form == "hex" or not is_base64(text):
            return bytes.fromhex(text.removeprefix("0x"))
        raise ValueError("both hex and base64: --bytea hex or --bytea base64 says which")
    if form == "hex" and text:
        raise ValueError("no hex, as the column's other values are: see --bytea")
    return _base64(text)


def is_base64(text: str) -> bool:
    """Return whether a text can be read as base64."""
    try:
        _base64(text)
    except ValueError:
        return False
    return True


def _base64(text: str) -> bytes:
    """Decode base64 or base64url, with or without line breaks and padding.

    Raises:
        ValueError: it is neither.
    """
    digits = text.translate(_NO_LINE_BREAKS)
    if "-" in digits or "_" in digits:
        if "+" in digits or "/" in digits:
            raise ValueError("the digits of base64 and of base64url are mixed")
        digits = digits.translate(_OF_BASE64URL)
    is_padded = digits.endswith("=")
    padded = digits if is_padded else digits + "=" * (-len(digits) % 4)
    decoded = binascii.a2b_base64(padded, strict_mode=True)
    # A word that is no base64 may look as if only its padding were missing.
    if not is_padded and binascii.b2a_base64(decoded, newline=False).decode() != padded:
        raise ValueError("bits are left over")
    return decoded
