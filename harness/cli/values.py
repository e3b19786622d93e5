"""Values as people write them: rows (``100k``), sizes (``2GiB``), speeds (``10Gbit``), dates."""

from __future__ import annotations

import argparse
import re
from datetime import date

from harness.model.errors import InputError

_ROWS = re.compile(r"(-?\d+(?:\.\d+)?)([kMB]?)")
_THOUSANDS = {"": 1, "k": 1_000, "M": 1_000_000, "B": 1_000_000_000}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B)", re.IGNORECASE)
_SPEED = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT])bit(?:/s)?", re.IGNORECASE)
_BITS = 8
_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}){0,2}")
_FIRST_DAY = "-01-01"
_UNITS: dict[str, int] = {
    f"{prefix}{suffix}": base ** (power + 1)
    for power, prefix in enumerate("kmgt")
    for suffix, base in (("b", 1000), ("ib", 1024))
}


def row_count(text: str) -> int:
    """Return the rows of ``100000``, ``100k`` or ``1.5M``.

    Raises:
        argparse.ArgumentTypeError: it is no such number.
    """
    found = _ROWS.fullmatch(text.strip().replace("_", "").replace("K", "k"))
    rows = float(found[1]) * _THOUSANDS[found[2]] if found else 0.5
    if rows != int(rows):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows; write 100000, 100k or 1M")
    return int(rows)


def one_row_count(text: str) -> tuple[int, ...]:
    """Return the same as a list of one.

    Raises:
        argparse.ArgumentTypeError: it is no number of rows.
    """
    return (row_count(text),)


def row_counts(text: str) -> tuple[int, ...]:
    """Return the numbers of rows of a list such as ``100k,1M``, each once.

    Raises:
        argparse.ArgumentTypeError: one of them is no number of rows.
    """
    return tuple(dict.fromkeys(map(row_count, text.split(","))))


def size_bytes(text: str) -> int:
    """Return the bytes of a size such as ``512MiB`` or ``2GB``.

    Raises:
        InputError: it is not a size, or one of zero.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise InputError(
            f"{text!r} is not a size; write a number and its unit, such as 512MiB or 2GB"
        )
    number, unit = found.groups()
    size = round(float(number) * _UNITS[unit.lower()])
    if not size:
        raise InputError(f"{text!r} is out of range; write a size above zero, such as 512MiB")
    return size


def speed_bytes_s(text: str) -> float:
    """Return the bytes a second of a speed such as ``10Gbit`` or ``500MB/s``.

    Raises:
        InputError: it is not a speed.
    """
    if found := _SPEED.fullmatch(text.strip()):
        return float(found[1]) * _UNITS[f"{found[2].lower()}b"] / _BITS
    try:
        speed = size_bytes(text.strip().removesuffix("/s"))
    except InputError:
        speed = 0
    if not speed:
        raise InputError(f"{text!r} is not a speed; write a number and its unit: 10Gbit or 500MB/s")
    return speed


def day_or_month(text: str) -> str:
    """Return a date such as ``2024-05-31``, ``2024-05`` or ``2024`` as it is.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        date.fromisoformat((text + _FIRST_DAY)[: len("2024-05-31")])
        is_date = _DATE.fullmatch(text) is not None
    except ValueError:
        is_date = False
    if not is_date:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a date; write YYYY-MM-DD, YYYY-MM or YYYY"
        )
    return text
