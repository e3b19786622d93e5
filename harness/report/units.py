"""Figures as text: three significant digits and a unit, or ``-`` for a missing figure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.figures import Success
    from harness.analysis.stats import Summary

NONE = "-"

_MB = 1e6
_GB = 1e9
_DIGITS = 3


def rows_short(rows: int) -> str:
    """Format a number of rows as it is typed: ``100k``, ``1M``, or in full."""
    for unit, size in (("B", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)):
        if rows >= size and rows % (size // 10) == 0:
            return f"{rows / size:g}{unit}"
    return f"{rows:,}"


def seconds(value: float) -> str:
    """Format a time in seconds."""
    return f"{significant(value)} s"


def short_time(value_s: float) -> str:
    """Format a time in a suitable unit: ``1.62 s``, ``12.5 ms``, ``840 us``, ``90.0 ns``."""
    for unit, length_s in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value_s >= length_s:
            return f"{significant(value_s / length_s)} {unit}"
    return f"{significant(value_s * 1e9)} ns"


def duration(value_s: float) -> str:
    """Format an estimated duration, roughly: ``40 s``, ``12 min``."""
    for unit, length_s in (("h", 3600), ("min", 60)):
        if value_s >= 2 * length_s:
            return f"{value_s / length_s:.0f} {unit}"
    return f"{value_s:.0f} s"


def megabytes(size_bytes: float) -> str:
    """Format a size in millions of bytes."""
    return f"{significant(size_bytes / _MB)} MB"


def gigabytes(size_bytes: float) -> str:
    """Format a machine's memory."""
    return f"{size_bytes / _GB:.0f} GB"


def spread_s(summary: Summary) -> str:
    """Format the range of times below their median; empty for a single round."""
    return "" if summary.n == 1 else f"{significant(summary.low)}-{significant(summary.high)}"


def spread_mb(summary: Summary) -> str:
    """Format the range of sizes below their median, in MB."""
    return (
        ""
        if summary.n == 1
        else f"{significant(summary.low / _MB)}-{significant(summary.high / _MB)}"
    )


def count(value: float) -> str:
    """Format an exact count."""
    return f"{value:,.0f}"


def rate(value: float) -> str:
    """Format a count per second, no more exact than its measurement."""
    return significant(float(f"{value:.{_DIGITS - 1}e}"))


def factor(value: float) -> str:
    """Format the ratio of two figures: two digits, three from 1 to 2."""
    digits = _DIGITS if 1 <= value < 2 else _DIGITS - 1  # noqa: PLR2004 - 1.25 tells, 7.25 does not
    return f"{significant(value, digits)}x"


def faster(speed: float) -> str:
    """Format a ratio of speeds: ``7.3x faster``, ``1.25x slower``."""
    return f"{factor(speed)} faster" if speed >= 1 else f"{factor(1 / speed)} slower"


def share(success: Success | None) -> str:
    """Format a success rate, rounded down: 100% means every row."""
    if success is None:
        return NONE
    return percent(success.rate)


def percent(rate: float) -> str:
    """Format a share of rows, rounded down: 100% means every row."""
    return "100%" if rate == 1 else f"{math.floor(rate * 10_000) / 100:.2f}%"


def significant(value: float, digits: int = _DIGITS) -> str:
    """Format a number with ``digits`` significant digits, but never cut its whole part."""
    if value == 0:
        return "0"
    # Rounded first, so that 9.996 is seen as 10.0 and not as 10.00.
    value = float(f"{value:.{digits - 1}e}") if abs(value) < 10 ** (digits - 1) else round(value)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"
