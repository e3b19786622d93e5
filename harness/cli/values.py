"""Numbers of rows and sizes as people write them: ``100k``, ``1M``, ``2GiB``."""

from __future__ import annotations

import argparse
import re

from harness.model.errors import InputError

_ROWS = re.compile(r"(-?\d+(?:\.\d+)?)([kM]?)")
_THOUSANDS = {"": 1, "k": 1_000, "M": 1_000_000}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B)", re.IGNORECASE)
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
        InputError: it is not a size.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise InputError(
            f"{text!r} is not a size; write a number and its unit, such as 512MiB or 2GB"
        )
    number, unit = found.groups()
    return round(float(number) * _UNITS[unit.lower()])
