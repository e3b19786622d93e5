"""Sizes as people write them: a number and its unit."""

from __future__ import annotations

import re

from harness.model.errors import InputError

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B)", re.IGNORECASE)
_UNITS: dict[str, int] = {
    f"{prefix}{suffix}": base ** (power + 1)
    for power, prefix in enumerate("kmgt")
    for suffix, base in (("b", 1000), ("ib", 1024))
}


def size_bytes(text: str) -> int:
    """Return the bytes of a size such as ``512MiB`` or ``2GB``.

    Raises:
        InputError: it is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{text!r} is no size; write a number and its unit, such as 512MiB or 2GB")
    number, unit = found.groups()
    return round(float(number) * _UNITS[unit.lower()])
