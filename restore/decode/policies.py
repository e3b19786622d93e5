"""Policies for values that PostgreSQL refuses or that may be read in two ways."""

from __future__ import annotations

import decimal
import re
from typing import TYPE_CHECKING

from msgspec import Struct, field

from restore.decode.scalars import TEXTS
from restore.options import DATE_FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from restore.options import Bytea, EpochUnit, Fraction, Nul, NullOrReject
    from restore.target.catalog import Column

UNIT_NS: dict[EpochUnit, int] = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
UNIT_NAMES: dict[EpochUnit, str] = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
}
DATED = frozenset({"date", "timestamp", "timestamptz"})
# A time so close to 1970 looks like one of another unit: 1706704496 milliseconds are 20 days.
_NEAR_NS = 366 * 86_400 * 10**9
_ZERO_DATE = re.compile(
    r"0000-00-00(?:[T ]00:00:00(?:\.0+)?(?:\s?(?:Z|UTC|[+-]00(?::?00)?))?)?", re.ASCII
)
# The escape of NUL, behind an even number of backslashes.
_NUL_ESCAPE = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_KEEPS_EMPTY = TEXTS | {"bytea"}
_SAME_DIGITS = {"DD": r"(?P<DD>\d\d?)", "MM": r"(?P<MM>\d\d?)", "YYYY": r"(?P<YYYY>\d{4})"}


class ColumnReading(Struct, frozen=True):
    """How values of one column are read that may mean several things.

    Attributes:
        unit: that of numbers in a column of times or intervals; None: they are refused.
        is_inferred: the unit is inferred: a number that looks like one of another unit is refused.
        parses_strings: strings in a json or jsonb column are parsed as documents.
        bytea: the form of text that may be hex or base64; ``auto``: such text is refused.
    """

    unit: EpochUnit | None = None
    is_inferred: bool = False
    parses_strings: bool = False
    bytea: Bytea = "auto"


_UNDECIDED = ColumnReading()


class DateFormat(Struct, frozen=True):
    """An order of day, month and year, with the same separator between them."""

    order: str
    separator: str

    @classmethod
    def parse(cls, text: str) -> DateFormat:
        """Read a format as ``--date-format`` takes it, which was checked."""
        found = DATE_FORMAT.fullmatch(text)
        if found is None:
            raise AssertionError(f"the date format {text!r} was not checked")
        parts = (found["first"], found["second"], found["third"])
        return cls("".join(part[0] for part in parts), found["separator"])

    def to_iso(self, text: str) -> str | None:
        """Return a text that begins with such a date as ISO 8601 has it; None: it does not."""
        names = {"D": "DD", "M": "MM", "Y": "YYYY"}
        parts = [_SAME_DIGITS[names[part]] for part in self.order]
        if not self.separator:
            parts = [part.replace(r"\d\d?", r"\d\d") for part in parts]
        found = re.match(re.escape(self.separator).join(parts) + r"(?=[T ]|\Z)", text, re.ASCII)
        if found is None:
            return None
        date = f"{found['YYYY']}-{found['MM']:0>2}-{found['DD']:0>2}"
        return date + text[found.end() :]


class ValuePolicies(Struct, frozen=True):
    """Policies for the values of one table, and how each of its columns is read.

    ``notes`` are lines for the report: what was inferred.
    """

    nul: Nul = "reject"
    empty_string: NullOrReject = "reject"
    zero_date: NullOrReject = "reject"
    fraction: Fraction = "reject"
    date_format: DateFormat | None = None
    columns: Mapping[str, ColumnReading] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def reading(self, column: Column) -> ColumnReading:
        """Return how a column's values are read."""
        return self.columns.get(column.name, _UNDECIDED)

    def is_wide(self, column: Column) -> bool:
        """Return whether a column's usual form is one that only a converter reads."""
        reading, name = self.reading(column), column.type.name
        return (
            reading.parses_strings
            or (self.empty_string == "null" and name in {"json", "jsonb"})
            or (reading.unit is not None and name in DATED)
            or (self.date_format is not None and name in DATED)
            or (name == "bytea" and reading.bytea != "base64")
        )

    def empties(self, column: Column) -> bool:
        """Return whether an empty string in a column is NULL."""
        is_text = column.type.name in _KEEPS_EMPTY
        return self.empty_string == "null" and not is_text


NO_POLICIES = ValuePolicies()


class PolicyLog:
    """Applies policies to values, and notes each value that they change.

    Attributes:
        policies: the policies.
        changes: ``column: option`` for each changed value of the current record.
    """

    def __init__(self, policies: ValuePolicies) -> None:
        self.policies = policies
        self.changes: list[str] = []

    def note(self, column: Column, option: str) -> None:
        """Note that a value was changed."""
        self.changes.append(f"{column.name}: {option}")

    def becomes_null(self, column: Column, raw: bytes) -> bool:
        """Return whether a JSON string stands for NULL; note it."""
        policies = self.policies
        if raw == b'""' and policies.empties(column):
            self.note(column, "--empty-string null")
            return True
        if (
            raw.startswith(b'"0000-00-00')
            and policies.zero_date == "null"
            and column.type.name in DATED
            and _ZERO_DATE.fullmatch(raw[1:-1].decode())
        ):
            self.note(column, "--zero-date null")
            return True
        return False

    def without_nul(self, column: Column, text: str) -> str:
        """Return a text without NUL characters, if the policy is not to reject them."""
        if self.policies.nul == "reject" or "\0" not in text:
            return text
        self.note(column, f"--nul {self.policies.nul}")
        return text.replace("\0", "" if self.policies.nul == "remove" else "\ufffd")

    def document_without_nul(self, column: Column, raw: bytes) -> bytes:
        """Return a JSON document without escapes of NUL, if the policy is not to reject them."""
        if self.policies.nul == "reject" or b"\\u0000" not in raw:
            return raw
        instead = rb"\1" if self.policies.nul == "remove" else rb"\1\\ufffd"
        changed = _NUL_ESCAPE.sub(instead, raw)
        if changed != raw:
            self.note(column, f"--nul {self.policies.nul}")
        return changed

    def rounded(self, column: Column, number: decimal.Decimal, digits: int) -> decimal.Decimal:
        """Return a number of seconds rounded to so many digits, and note it if that changes it."""
        step = decimal.Decimal((0, (1,), -digits))
        kept = number.quantize(step, decimal.ROUND_HALF_EVEN)
        if kept != number:
            self.note(column, "--fraction round")
        return kept


def infer_unit(numbers: list[decimal.Decimal]) -> EpochUnit | None:
    """Return the one unit in which numbers since 1970 are plausible instants; None: ask.

    A unit is plausible if all numbers are of the years 1 to 9999 in it, and one is not near 1970.
    None of them may look like a number of another unit.
    """
    found: list[EpochUnit] = []
    for unit, scale in UNIT_NS.items():
        times = [number * scale for number in numbers]
        if all(_FIRST_NS <= time < _END_NS for time in times) and any(
            abs(time) >= _NEAR_NS for time in times
        ):
            found.append(unit)
    if len(found) != 1 or any(looks_like_another_unit(number, found[0]) for number in numbers):
        return None
    return found[0]


def looks_like_another_unit(number: decimal.Decimal, unit: EpochUnit) -> bool:
    """Return whether a number is so close to 1970 that it may be of a larger unit."""
    return number != 0 and abs(number * UNIT_NS[unit]) < _NEAR_NS


# Years 1 to 9999 as nanoseconds since 1970.
_FIRST_NS = -62_135_596_800 * 10**9
_END_NS = 253_402_300_800 * 10**9
