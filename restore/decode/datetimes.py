"""Dates and times: how they are written in JSON, and what a column keeps of them."""

from __future__ import annotations

import datetime as dt
import decimal
import re
import struct
from typing import TYPE_CHECKING

from restore.decode.scalars import NUMBER, quote_value, scalar, string
from restore.errors import LossyValueError, UnsupportedFormError

if TYPE_CHECKING:
    from restore.target.catalog import Column

TEMPORAL = frozenset({"date", "timestamp", "timestamptz", "time", "timetz", "interval"})
_DATED = frozenset({"date", "timestamp", "timestamptz"})
_MICROSECOND_DIGITS = 6

_SECOND_FRACTION = re.compile(r":\d\d[.,](\d+)")
_ANY_FRACTION = re.compile(r"[.,](\d+)")
_OFFSET = r"\s?(?:Z|[+-]\d\d(?::?\d\d)?)"
_ISO = re.compile(
    rf"\d{{4}}-\d\d-\d\d(?:[T ]\d\d(?::?\d\d(?::?\d\d(?:[.,]\d+)?)?)?(?:{_OFFSET})?)?", re.ASCII
)
_MIDNIGHT = re.compile(rf"[T ]00:00(?::00(?:\.0+)?)?(?:{_OFFSET})?", re.ASCII)
# What these words mean depends on when the restore runs.
_NOW = re.compile(r"\b(?:now|today|tomorrow|yesterday)\b", re.IGNORECASE)
# How JavaScript's Date.toString() writes: "Wed Jan 31 2024 10:00:00 GMT+0100 (CET)".
_JAVASCRIPT = re.compile(
    r"[A-Z][a-z]{2} (?P<time>[A-Z][a-z]{2} \d{2} \d{4} \d{2}:\d{2}:\d{2}) (?:GMT|UTC)"
    r"(?P<offset>[+-]\d{4})(?: \(.*\))?",
    re.ASCII,
)
# A zone's name before an offset is, to PostgreSQL, a zone of POSIX, whose sign is the other way.
_POSIX_ZONE = re.compile(r"(?<![A-Za-z])(?!OCT|SEPT)(?:GMT|UTC|UT|Z|[A-Z]{1,3}T)\s?[+-]\d")
_YEAR = re.compile(r"\d{4}")
_WITHOUT_YEAR = re.compile(r"\s*(?:[+-]?infinity|epoch)\s*", re.IGNORECASE)
# How PostgreSQL writes an interval: the session's IntervalStyle is ``postgres``. Each part has its
# own sign. The binary form is that of interval_recv in its timestamp.c.
_INTERVAL = re.compile(
    r"(?:(?P<years>[+-]?\d{1,9}) years?(?: |\Z))?(?:(?P<months>[+-]?\d{1,9}) mons?(?: |\Z))?"
    r"(?:(?P<days>[+-]?\d{1,9}) days?(?: |\Z))?"
    r"(?:(?P<sign>[+-]?)(?P<h>\d{2,7}):(?P<m>[0-5]\d):(?P<s>[0-5]\d)"
    r"(?:\.(?P<fraction>\d{1,6}))?)?",
    re.ASCII,
)
_pack_interval = struct.Struct("!qii").pack
_EPOCH_TEXT = re.compile(r"-?(?:\d{10}|\d{13})", re.ASCII)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# Below the first bound a number means seconds (up to the year 5138), below the second milliseconds.
_SECONDS_BELOW, _MILLISECONDS_BELOW = 10**11, 10**14
# 20240131 is a date to people, and a day of August 1970 as seconds.
_DATE_LIKE = range(19000101, 22000000)


def fractional_digits(column: Column) -> int:
    """Return how many digits of a second a date and time column keeps.

    Source: an interval's precision is the lower 16 bits of its modifier, INTERVAL_PRECISION in
    PostgreSQL's utils/timestamp.h.
    """
    if column.typmod < 0:
        return _MICROSECOND_DIGITS
    precision = column.typmod & 0xFFFF if column.type.name == "interval" else column.typmod
    return min(precision, _MICROSECOND_DIGITS)


def timestamptz(column: Column, raw: bytes, zone: dt.tzinfo, notes: set[str]) -> dt.datetime:
    """Return the instant that a JSON value stands for; ``zone`` is that of times without one.

    Raises:
        UnsupportedFormError: it is of no form that we read.
        LossyValueError: the column cannot hold it as it is.
    """
    instant = _instant(column, raw, notes)
    if instant.tzinfo is not None:
        return instant
    if zone is not dt.UTC:
        sooner, later = (instant.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        if sooner != later:  # an hour that is there twice, or not at all: PostgreSQL has a rule
            raise UnsupportedFormError("a time at which clocks are put back or forward")
    return instant.replace(tzinfo=zone)


def timestamp(column: Column, raw: bytes, notes: set[str]) -> dt.datetime:
    """Return a time without a zone; an offset is converted to UTC, never dropped.

    Raises:
        UnsupportedFormError: it is of no form that we read.
        LossyValueError: the column cannot hold it as it is.
    """
    instant = _instant(column, raw, notes)
    if instant.tzinfo is None:
        return instant
    try:
        return instant.astimezone(dt.UTC).replace(tzinfo=None)
    except OverflowError as error:
        raise UnsupportedFormError("beyond the years that Python knows") from error


def _instant(column: Column, raw: bytes, notes: set[str]) -> dt.datetime:
    text = scalar(raw)
    if raw[:1] != b'"' or _EPOCH_TEXT.fullmatch(text):
        return _from_epoch(column, text, notes)
    written = _JAVASCRIPT.fullmatch(text)
    if written is not None:
        return _from_javascript(written)
    if not _ISO.fullmatch(text):
        raise UnsupportedFormError("not an ISO 8601 date and time")
    check_fraction(column, text)
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise UnsupportedFormError(str(error)) from error


def _from_javascript(written: re.Match[str]) -> dt.datetime:
    try:
        return dt.datetime.strptime(
            f"{written['time']} {written['offset']}", "%b %d %Y %H:%M:%S %z"
        )
    except ValueError as error:
        raise UnsupportedFormError(str(error)) from error


def _from_epoch(column: Column, text: str, notes: set[str]) -> dt.datetime:
    if not NUMBER.fullmatch(text):
        raise LossyValueError(f"{quote_value(text)} is no date and time")
    number = decimal.Decimal(text)
    # Not "in", which walks over a range to look for what is no int.
    if _DATE_LIKE.start <= number < _DATE_LIKE.stop and number == number.to_integral_value():
        raise LossyValueError(f"{text} may mean a date or seconds since 1970: write it as a string")
    if abs(number) < _SECONDS_BELOW:
        unit, factor = "seconds", 1_000_000
    elif abs(number) < _MILLISECONDS_BELOW:
        unit, factor = "milliseconds", 1_000
    else:
        unit, factor = "microseconds", 1
    try:
        microseconds = number * factor
        whole = int(microseconds)
        instant = _EPOCH + dt.timedelta(microseconds=whole)
    except (OverflowError, decimal.DecimalException) as error:
        raise LossyValueError(
            f"{quote_value(text)} is no instant that a timestamp can hold"
        ) from error
    if microseconds != whole:
        raise LossyValueError(f"{quote_value(text)} is finer than a microsecond")
    step = 10 ** (_MICROSECOND_DIGITS - fractional_digits(column))
    if instant.microsecond % step:
        raise LossyValueError(_too_fine(column, text))
    notes.add(f"column {column.name}: numbers were read as {unit} since 1970-01-01 UTC")
    return instant


def date(column: Column, raw: bytes, zone: dt.tzinfo) -> dt.date:
    """Return a date, also when written as midnight, as JavaScript does.

    Midnight at any offset counts; in UTC it may also be midnight in ``zone``.

    Raises:
        UnsupportedFormError: it is of no form that we read.
        LossyValueError: it has a time of day, which would be lost.
    """
    if raw[:1] != b'"':
        raise LossyValueError(f"{quote_value(raw.decode())} is no date: write YYYY-MM-DD")
    text = string(raw)
    if not _ISO.fullmatch(text):
        raise UnsupportedFormError("not an ISO 8601 date")
    try:
        local = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise UnsupportedFormError(str(error)) from error
    if local.tzinfo is not None and zone is not dt.UTC:
        elsewhere = local.astimezone(zone)
        if elsewhere.time() == dt.time():
            return elsewhere.date()
    if len(text) == len("YYYY-MM-DD") or _MIDNIGHT.fullmatch(text[10:]):
        return local.date()
    raise LossyValueError(
        f"column {column.name} is a date, and {text} has a time of day that would be lost"
        + (" (midnight elsewhere? try --timezone)" if zone is dt.UTC else "")
    )


def time(column: Column, raw: bytes) -> dt.time:
    """Return a time of day without a zone.

    Raises:
        UnsupportedFormError: it is of no form that we read.
        LossyValueError: the column cannot hold it as it is.
    """
    if raw[:1] != b'"':
        raise LossyValueError(f"{quote_value(raw.decode())} is no time of day: write HH:MM:SS")
    text = string(raw)
    check_fraction(column, text)
    try:
        value = dt.time.fromisoformat(text)
    except ValueError as error:
        raise UnsupportedFormError(str(error)) from error
    if value.tzinfo is not None:
        raise LossyValueError(f"column {column.name} has no zone: {text} would lose its own")
    return value


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
    time = seconds * 1_000_000 + int((found["fraction"] or "").ljust(_MICROSECOND_DIGITS, "0"))
    try:
        return _pack_interval(-time if found["sign"] == "-" else time, days, 12 * years + months)
    except struct.error as error:
        raise UnsupportedFormError("more months than an interval holds") from error


def check_literal(column: Column, text: str) -> None:
    """Refuse what PostgreSQL would round, cut off, or read by the time of the restore.

    Raises:
        LossyValueError: the reason.
    """
    kind = column.type.name
    check_fraction(column, text)
    if _NOW.search(text):
        raise LossyValueError(
            f"{quote_value(text)} means the time of the restore, and no time that was stored"
        )
    if _POSIX_ZONE.search(text):
        raise LossyValueError(
            f"{quote_value(text)} has an offset after a zone's name: write the offset alone"
        )
    if kind == "date" and ":" in text:
        raise LossyValueError(
            f"column {column.name} is a date: {quote_value(text)} would lose a time of day"
        )
    if kind in _DATED and not (_YEAR.search(text) or _WITHOUT_YEAR.fullmatch(text)):
        raise LossyValueError(f"{quote_value(text)} names no year of four digits")


def check_fraction(column: Column, text: str) -> None:
    """Refuse more digits of a second than a column keeps, unless they are zeros.

    Raises:
        LossyValueError: the column would round them.
    """
    pattern = _ANY_FRACTION if column.type.name == "interval" else _SECOND_FRACTION
    for digits in pattern.findall(text):
        if len(digits.rstrip("0")) > fractional_digits(column):
            raise LossyValueError(_too_fine(column, text))


def _too_fine(column: Column, text: str) -> str:
    kept = f"which keeps {fractional_digits(column)} digits of a second"
    return f"{quote_value(text)} is finer than column {column.name}, {kept}"
