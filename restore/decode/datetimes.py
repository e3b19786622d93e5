"""Dates and times: how they are written in JSON, and what a column keeps of them."""

from __future__ import annotations

import datetime as dt
import decimal
import re
from typing import TYPE_CHECKING

from restore.decode import intervals
from restore.decode.policies import (
    DATED,
    UNIT_NAMES,
    UNIT_NS,
    PolicyLog,
    looks_like_another_unit,
)
from restore.decode.scalars import NUMBER, quote_value, scalar, string
from restore.errors import LossyValueError, UnsupportedFormError

if TYPE_CHECKING:
    from restore.target.catalog import Column

TEMPORAL = frozenset({"date", "timestamp", "timestamptz", "time", "timetz", "interval"})
_MICROSECOND_DIGITS = 6

_SECOND_FRACTION = re.compile(r":\d\d[.,](\d+)")
_UTC = re.compile(r"\s?(?:UTC|\+00:?00 UTC)\Z")
_ANY_FRACTION = re.compile(r"[.,](\d+)")
_OFFSET = r"\s?(?:Z|UTC|[+-]\d\d(?::?\d\d)?|\+00:?00 UTC)"
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
# .NET's TimeSpan: 1.02:03:04 is a day and two hours there, and 1.02 days and more in PostgreSQL.
_TIME_SPAN = re.compile(r"(?<![\d:.])\d+\.\d{1,2}:\d\d")
# A zone's name before an offset is, to PostgreSQL, a zone of POSIX, whose sign is the other way.
_POSIX_ZONE = re.compile(r"(?<![A-Za-z])(?!OCT|SEPT)(?:GMT|UTC|UT|Z|[A-Z]{1,3}T)\s?[+-]\d")
_YEAR = re.compile(r"\d{4}")
_WITHOUT_YEAR = re.compile(r"\s*(?:[+-]?infinity|epoch)\s*", re.IGNORECASE)
_WITHOUT_ZONE = re.compile(
    r"\d{4,6}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?: BC)?", re.ASCII
)
# As microseconds they are less than 64 bits.
_MOST_SECONDS = 9 * 10**12
# Seconds, milliseconds, microseconds or nanoseconds since 1970, in this century.
EPOCH_TEXT = re.compile(r"-?(?:\d{10}|\d{13}|\d{16}|\d{19})(?:\.\d+)?", re.ASCII)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def fractional_digits(column: Column) -> int:
    """Return how many digits of a second a date and time column keeps.

    Source: an interval's precision is the lower 16 bits of its modifier, INTERVAL_PRECISION in
    PostgreSQL's utils/timestamp.h.
    """
    if column.typmod < 0:
        return _MICROSECOND_DIGITS
    precision = column.typmod & 0xFFFF if column.type.name == "interval" else column.typmod
    return min(precision, _MICROSECOND_DIGITS)


def timestamptz(column: Column, raw: bytes, zone: dt.tzinfo, log: PolicyLog) -> dt.datetime:
    """Return the instant that a JSON value stands for; ``zone`` is that of times without one.

    Raises:
        UnsupportedFormError: it is of no form that we read.
        LossyValueError: the column cannot hold it as it is.
    """
    instant = _instant(column, raw, log)
    if instant.tzinfo is not None:
        return instant
    if zone is not dt.UTC:
        sooner, later = (instant.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        if sooner != later:  # an hour that is there twice, or not at all: PostgreSQL has a rule
            raise UnsupportedFormError("a time at which clocks are put back or forward")
    return instant.replace(tzinfo=zone)


def timestamp(column: Column, raw: bytes, log: PolicyLog) -> dt.datetime:
    """Return a time without a zone; an offset is converted to UTC, never dropped.

    Raises:
        UnsupportedFormError: it is of no form that we read.
        LossyValueError: the column cannot hold it as it is.
    """
    instant = _instant(column, raw, log)
    if instant.tzinfo is None:
        return instant
    try:
        return instant.astimezone(dt.UTC).replace(tzinfo=None)
    except OverflowError as error:
        raise UnsupportedFormError("beyond the years that Python knows") from error


def _instant(column: Column, raw: bytes, log: PolicyLog) -> dt.datetime:
    text = as_iso(scalar(raw), log)
    if is_epoch(raw, text):
        return _from_epoch(column, text, log)
    written = _JAVASCRIPT.fullmatch(text)
    if written is not None:
        return _from_javascript(written)
    if not _ISO.fullmatch(text):
        raise UnsupportedFormError("not an ISO 8601 date and time")
    text, more = _split_fraction(column, text, log)
    try:
        return dt.datetime.fromisoformat(_UTC.sub("Z", text)) + more
    except (ValueError, OverflowError) as error:
        raise UnsupportedFormError(str(error)) from error


def as_iso(text: str, log: PolicyLog) -> str:
    """Return a date that is written as --date-format says in the form of ISO 8601."""
    date_format = log.policies.date_format
    return text if date_format is None else date_format.to_iso(text) or text


def is_epoch(raw: bytes, text: str) -> bool:
    """Return whether a value of a column of times is a number, or a string that can only be one.

    Args:
        raw: the value.
        text: what it says, after ``as_iso``.
    """
    if raw[:1] != b'"':
        return raw.decode() == text
    return EPOCH_TEXT.fullmatch(text) is not None


def _split_fraction(column: Column, text: str, log: PolicyLog) -> tuple[str, dt.timedelta]:
    """Cut digits of a second off that a column has no room for; return what to add for them.

    Raises:
        LossyValueError: there are such digits, and they may not be rounded.
    """
    if log.policies.fraction == "reject":
        check_fraction(column, text)
        return text, dt.timedelta()
    found = _SECOND_FRACTION.search(text)
    if found is None or len(found[1].rstrip("0")) <= fractional_digits(column):
        return text, dt.timedelta()
    fraction = decimal.Decimal(f"0.{found[1]}")
    seconds = log.rounded(column, fraction, fractional_digits(column))
    rest = text[: found.start(1) - 1] + text[found.end(1) :]
    return rest, dt.timedelta(microseconds=int(seconds * 1_000_000))


def _from_javascript(written: re.Match[str]) -> dt.datetime:
    try:
        return dt.datetime.strptime(
            f"{written['time']} {written['offset']}", "%b %d %Y %H:%M:%S %z"
        )
    except ValueError as error:
        raise UnsupportedFormError(str(error)) from error


def _from_epoch(column: Column, text: str, log: PolicyLog) -> dt.datetime:
    try:
        return _EPOCH + dt.timedelta(microseconds=microseconds(column, text, log))
    except OverflowError as error:
        raise LossyValueError(
            f"{quote_value(text)} is not a time that a timestamp can hold"
        ) from error


def microseconds(column: Column, text: str, log: PolicyLog) -> int:
    """Return what a number says in microseconds, by its column's unit.

    Raises:
        LossyValueError: its unit is not known, or the column cannot hold it as it is.
    """
    reading = log.policies.reading(column)
    if not NUMBER.fullmatch(text):
        raise LossyValueError(f"{quote_value(text)} is no {column.type.name}")
    if reading.unit is None:
        raise LossyValueError(
            f"{quote_value(text)} in column {column.name} has no unit: name it with --epoch"
        )
    if (
        column.type.name == "interval"
        and column.typmod >= 0
        and intervals.is_partial(column.typmod)
    ):
        raise LossyValueError(f"column {column.name} does not keep all parts of an interval")
    number = decimal.Decimal(text)
    if reading.is_inferred and looks_like_another_unit(number, reading.unit):
        raise LossyValueError(
            f"{quote_value(text)} does not look like {UNIT_NAMES[reading.unit]} as column"
            f" {column.name} has them: confirm the unit with --epoch"
        )
    try:
        seconds = number.scaleb(-9) * UNIT_NS[reading.unit]
        if abs(seconds) > _MOST_SECONDS:
            raise LossyValueError(f"{quote_value(text)} is beyond what column {column.name} holds")
        digits = fractional_digits(column)
        if log.policies.fraction == "round":
            seconds = log.rounded(column, seconds, digits)
    except decimal.DecimalException as error:
        raise LossyValueError(f"{quote_value(text)} is no {column.type.name}") from error
    scaled = seconds.scaleb(digits)
    if scaled != int(scaled):
        raise LossyValueError(_too_fine(column, text))
    return int(seconds.scaleb(_MICROSECOND_DIGITS))


def date(column: Column, raw: bytes, zone: dt.tzinfo, log: PolicyLog) -> dt.date:
    """Return a date, also when written as midnight, as JavaScript does.

    Midnight at any offset counts; in UTC it may also be midnight in ``zone``.

    Raises:
        UnsupportedFormError: it is of no form that we read.
        LossyValueError: it has a time of day, which would be lost.
    """
    text = as_iso(scalar(raw), log)
    if is_epoch(raw, text):
        local = _from_epoch(column, text, log)
        text = local.isoformat()
    elif not _ISO.fullmatch(text):
        raise UnsupportedFormError("not an ISO 8601 date")
    else:
        try:
            local = dt.datetime.fromisoformat(_UTC.sub("Z", text))
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


def time(column: Column, raw: bytes, log: PolicyLog) -> dt.time:
    """Return a time of day without a zone.

    Raises:
        UnsupportedFormError: it is of no form that we read.
        LossyValueError: the column cannot hold it as it is.
    """
    if raw[:1] != b'"':
        raise LossyValueError(f"{quote_value(raw.decode())} is not a time of day: write HH:MM:SS")
    text, more = _split_fraction(column, string(raw), log)
    try:
        value = dt.time.fromisoformat(text)
    except ValueError as error:
        raise UnsupportedFormError(str(error)) from error
    if value.tzinfo is not None:
        raise LossyValueError(f"column {column.name} has no zone: {text} would lose its own")
    rounded = dt.datetime.combine(dt.date.min, value) + more
    if rounded.date() != dt.date.min:
        raise LossyValueError(f"{quote_value(string(raw))} would be rounded to another day")
    return rounded.time()


def number_interval(column: Column, raw: bytes, log: PolicyLog) -> bytes | None:
    """Return the binary form of an interval that is given as a number; None: it is not.

    Raises:
        LossyValueError: the number's unit is not known, or the column cannot hold it as it is.
    """
    text = scalar(raw) if raw[:1] not in b"{[tfn" else ""
    if not NUMBER.fullmatch(text):
        return None
    return intervals.pack(microseconds(column, text, log), 0, 0)


def check_literal(column: Column, text: str, log: PolicyLog) -> None:
    """Refuse what PostgreSQL would cut off, or read by the time of the restore, or round unasked.

    Raises:
        LossyValueError: the reason.
    """
    kind = column.type.name
    try:
        check_fraction(column, text)
    except LossyValueError:
        if log.policies.fraction == "reject":
            raise
        log.note(column, "--fraction round")
    if kind == "interval":
        intervals.check_parts(column, text)
    if _NOW.search(text):
        raise LossyValueError(
            f"{quote_value(text)} means the time of the restore, and no time that was stored"
        )
    if _POSIX_ZONE.search(text):
        raise LossyValueError(
            f"{quote_value(text)} has an offset after a zone's name: write the offset alone"
        )
    if (column.type.element or column.type).name == "interval" and _TIME_SPAN.search(text):
        raise LossyValueError(
            f"{quote_value(text)} may be days and hours, as .NET writes them, which PostgreSQL"
            " reads as a part of a day: write it as '1 day 02:03:04'"
        )
    if text.startswith("0000-00-00"):
        raise LossyValueError(
            f"{quote_value(text)} is not a date: --zero-date null loads it as NULL"
        )
    if kind == "date" and ":" in text:
        raise LossyValueError(
            f"column {column.name} is a date: {quote_value(text)} would lose a time of day"
        )
    if kind in DATED and not (_YEAR.search(text) or _WITHOUT_YEAR.fullmatch(text)):
        raise LossyValueError(f"{quote_value(text)} names no year of four digits")


def check_without_zone(text: str) -> None:
    """Refuse a text that may have a time zone, where the server would drop it.

    Raises:
        LossyValueError: it is not in a form that has none.
    """
    if not (_WITHOUT_ZONE.fullmatch(text) or _WITHOUT_YEAR.fullmatch(text)):
        raise LossyValueError(
            f"{quote_value(text)} may have a time zone, which would be lost: write it as ISO 8601"
        )


def check_fraction(column: Column, text: str) -> None:
    """Refuse more digits of a second than a column keeps, unless they are zeros.

    Raises:
        LossyValueError: the column would round them.
    """
    kept, is_interval = fractional_digits(column), column.type.name == "interval"
    pattern = _ANY_FRACTION if is_interval else _SECOND_FRACTION
    is_fine = any(len(digits.rstrip("0")) > kept for digits in pattern.findall(text))
    if is_fine or (is_interval and intervals.is_finer(text, kept)):
        raise LossyValueError(_too_fine(column, text))


def _too_fine(column: Column, text: str) -> str:
    kept = f"which keeps {fractional_digits(column)} digits of a second"
    return f"{quote_value(text)} is finer than column {column.name}, {kept}"
