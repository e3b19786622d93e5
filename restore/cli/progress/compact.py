"""Figures in the few characters that a narrow terminal has for them."""

from __future__ import annotations

import math

_EXACT_BELOW = 10_000
_KILO = 1_000
_TENTHS_BELOW = 9.95  # from here on one digit more would be written
_NEXT_UNIT_FROM = 999.5  # it would be written as 1000
_HOUR_S = 3600
_MINUTE_S = 60


def compact_count(number: float) -> str:
    """Write ``9,999``, then ``12.3k``, ``123k``, ``4.13M``."""
    if round(number) < _EXACT_BELOW:
        return f"{number:,.0f}"
    scaled, unit = _scaled(number, ("", "k", "M", "G", "T"))
    whole_digits = len(f"{scaled:.0f}")
    return f"{scaled:.{max(0, 3 - whole_digits)}f}{unit}"


def compact_rate(rate: float) -> str:
    """Write ``31k/s``, to two digits: it is no finer."""
    rounded = float(f"{rate:.2g}")
    if rounded < _EXACT_BELOW:
        return f"{rounded:,.0f}/s"
    scaled, unit = _scaled(rounded, ("", "k", "M", "G", "T"))
    return f"{_short(scaled)}{unit}/s"


def compact_size(part: int, whole: int) -> str:
    """Write ``5.2/40 MB``; a part never exceeds its whole."""
    part = min(part, whole)
    scaled, unit = _scaled(whole, ("B", "kB", "MB", "GB", "TB"))
    if unit == "B":
        return f"{part}/{whole} B"
    return f"{_short(scaled * part / whole)}/{_short(scaled)} {unit}"


def compact_time(seconds: float) -> str:
    """Write ``0:04``, ``12:34`` or ``1:02:03``; whole seconds, none of them zero."""
    whole = max(math.ceil(seconds), 1)
    minutes, rest = divmod(whole, _MINUTE_S)
    if whole < _HOUR_S:
        return f"{minutes}:{rest:02}"
    return f"{minutes // _MINUTE_S}:{minutes % _MINUTE_S:02}:{rest:02}"


def _scaled(number: float, units: tuple[str, ...]) -> tuple[float, str]:
    """Return a number in the first unit in which it has three digits at the most, and the unit."""
    for unit in units[:-1]:
        if number < _NEXT_UNIT_FROM:
            return number, unit
        number /= _KILO
    return number, units[-1]


def _short(number: float) -> str:
    return f"{number:.1f}" if number < _TENTHS_BELOW else f"{number:.0f}"
