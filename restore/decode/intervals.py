"""Intervals as PostgreSQL writes them, and what a column would lose of one."""

from __future__ import annotations

import decimal
import re
import struct
from typing import TYPE_CHECKING

from restore.decode.scalars import quote_value, string
from restore.errors import LossyValueError, UnsupportedFormError

if TYPE_CHECKING:
    from restore.target.catalog import Column

# Parts of an interval in units of less than a second, and the digits of a second in these.
_SMALL_UNIT = re.compile(
    r"(\d+[.,]?\d*|[.,]\d+)\s*(m(?:illi)?|u|micro)s(?:ec\w*)?\b", re.ASCII | re.IGNORECASE
)
_DIGITS = {"m": 3, "milli": 3, "u": 6, "micro": 6}
# How PostgreSQL writes an interval: the session's IntervalStyle is ``postgres``. Each part has its
# own sign. The binary form is that of interval_recv in its timestamp.c.
_INTERVAL = re.compile(
    r"(?:(?P<years>[+-]?\d{1,9}) years?(?: |\Z))?(?:(?P<months>[+-]?\d{1,9}) mons?(?: |\Z))?"
    r"(?:(?P<days>[+-]?\d{1,9}) days?(?: |\Z))?"
    r"(?:(?P<sign>[+-]?)(?P<h>\d{2,7}):(?P<m>[0-5]\d):(?P<s>[0-5]\d)"
    r"(?:\.(?P<fraction>\d{1,6}))?)?",
    re.ASCII,
)
# Units of an interval, largest first, and their bits in its modifier: utils/datetime.h.
_UNITS = ("year", "mon", "day", "hour", "min", "sec")
_UNIT_BITS = (2, 1, 3, 10, 11, 12)
_CLOCK = re.compile(r"([+-]?\d+):(\d\d)(?::(\d\d(?:\.\d+)?))?", re.ASCII)
_NAMED_PART = re.compile(
    r"([+-]?\d*(?:\.\d+)?) ?(year|mon|day|hour|min|sec)(?:th|ute|ond)?s?\b",
    re.ASCII | re.IGNORECASE,
)
_ALL_FIELDS = 0x7FFF  # INTERVAL_FULL_RANGE
pack = struct.Struct("!qii").pack


def interval(_: Column, raw: bytes) -> bytes:
    """Return the binary form of an interval that is written as PostgreSQL writes it.

    Raises:
        UnsupportedFormError: it is written in another way.
    """
    found = _INTERVAL.fullmatch(string(raw)) if len(raw) > len('""') and raw[:1] == b'"' else None
    if found is None:
        raise UnsupportedFormError("not an interval as PostgreSQL writes it")
    years, months, days = (int(found[name] or 0) for name in ("years", "months", "days"))
    seconds = (int(found["h"] or 0) * 60 + int(found["m"] or 0)) * 60 + int(found["s"] or 0)
    time = seconds * 1_000_000 + int((found["fraction"] or "").ljust(6, "0"))
    try:
        return pack(-time if found["sign"] == "-" else time, days, 12 * years + months)
    except struct.error as error:
        raise UnsupportedFormError("more months than an interval holds") from error


def is_finer(text: str, digits: int) -> bool:
    """Tell if milliseconds or microseconds in a text need more digits of a second."""
    parts = (
        decimal.Decimal(number.replace(",", ".")).scaleb(digits - _DIGITS[unit.lower()])
        for number, unit in _SMALL_UNIT.findall(text)
    )
    return any(part != int(part) for part in parts)


def is_partial(typmod: int) -> bool:
    """Return whether an interval keeps some fields alone: INTERVAL_RANGE in utils/timestamp.h."""
    return typmod >> 16 & _ALL_FIELDS != _ALL_FIELDS


def check_parts(column: Column, text: str) -> None:
    """Refuse an interval with parts that its column does not keep.

    Raises:
        LossyValueError: the server would drop them, or their form is one that we do not read.
    """
    if column.typmod < 0 or not is_partial(column.typmod) or "inf" in text.lower():
        return
    lowest = max(n for n, bit in enumerate(_UNIT_BITS) if column.typmod >> 16 & 1 << bit)
    dropped = _UNITS[lowest + 1 :]
    if not dropped:
        return
    named = _CLOCK.sub(r" \1 hour \2 min \3 sec", text)
    # A fraction of a unit is carried over to the smaller ones.
    is_lossy = any(
        (unit.lower() in dropped and float(number or 0)) or ("." in number and unit != "sec")
        for number, unit in _NAMED_PART.findall(named)
    )
    if is_lossy or _NAMED_PART.sub("", named).strip():
        raise LossyValueError(
            f"column {column.name} does not keep all parts of an interval such as"
            f" {quote_value(text)}"
        )
