"""How single JSON values become what a column takes, where msgspec alone cannot say."""

from __future__ import annotations

import binascii
import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from restore.catalog import Column

_MIDNIGHT = ("", "T00:00:00", "T00:00:00Z", "T00:00:00.000Z", "T00:00:00+00:00")


def bytes_from_json(raw: bytes) -> bytes | None:  # noqa: PLR0911 - one return for each form
    r"""Return the bytes that a JSON value stands for; None for ``null``.

    Base64, PostgreSQL's hex (``"\\x48"``), an array of numbers, and the two forms in which
    JavaScript writes a buffer: ``{"type":"Buffer","data":[72]}`` and ``{"0":72}``.

    Raises:
        ValueError: it is none of these.
    """
    if raw[:1] == b'"' and b"\\" not in raw:
        return binascii.a2b_base64(raw[1:-1], strict_mode=True)
    match msgspec.json.decode(raw):
        case None:
            return None
        case str(text) if text.startswith("\\x"):
            return bytes.fromhex(text[2:])
        case str(text):
            return binascii.a2b_base64(text, strict_mode=True)
        case {"type": "Buffer", "data": list(numbers)}:
            return bytes(numbers)
        case list(numbers):
            return bytes(numbers)
        case dict(items) if list(items) == [str(n) for n in range(len(items))]:
            return bytes(items.values())
    raise ValueError("these are no bytes: expected base64, hex or a buffer")


def date_from_json(text: str) -> dt.date:
    """Return the date of ``2024-01-31``, also when written as midnight, as JavaScript does.

    Raises:
        ValueError: it is no date, or has a time of day, which a date would lose.
    """
    if text[10:] not in _MIDNIGHT:
        raise ValueError(f"no plain date: {text!r}")
    return dt.date.fromisoformat(text[:10])


def literal(  # noqa: PLR0911 - one return for each kind of value
    column: Column, raw: msgspec.Raw
) -> str | bytes | list[Any] | None:
    """Return a JSON value as what PostgreSQL reads as a literal of the column's type.

    Raises:
        ValueError: the value cannot stand for anything in that column.
    """
    text = bytes(raw)
    kind = column.type.name
    if kind in {"json", "jsonb"}:
        # A document that must not be NULL can only mean JSON's own null.
        return None if text == b"null" and not column.not_null else text.decode()
    if text == b"null":
        return None
    if kind == "bytea":
        return bytes_from_json(text)
    if kind == "date" and text[:1] == b'"':
        return _date_literal(msgspec.json.decode(text, type=str))
    if text[:1] == b'"':
        return msgspec.json.decode(text, type=str)
    if text[:1] == b"[" and column.type.element is not None:
        return _array(msgspec.json.decode(text))
    if text[:1] in b"{[":
        raise ValueError(f"a JSON document does not fit column {column.name} of type {kind}")
    return text.decode()


def _date_literal(text: str) -> str:
    """Let PostgreSQL read a date in any spelling, unless that would drop a time of day."""
    if ":" in text:
        return date_from_json(text).isoformat()
    return text


def _array(values: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    """Give an array's members as texts, so that the server casts them."""
    members: list[Any] = []
    for value in values:
        match value:
            case list():
                members.append(_array(value))
            case None | str():
                members.append(value)
            case dict():
                members.append(msgspec.json.encode(value).decode())
            case bool():
                members.append("true" if value else "false")
            case _:
                members.append(str(value))
    return members
