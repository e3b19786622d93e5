"""Writes figures, and text from a backup or a server, for a person to read."""

from __future__ import annotations

import math
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPT = "db-restore-optimized"
# A message of PostgreSQL's holds the value that it refuses, of up to 1 GB.
LONGEST_MESSAGE = 1_000
_MINUTE_S = 60
_HOUR_S = 3600
_EXACT_BELOW_S = 10
_FINE_BELOW_S = 1
_MEGABYTE = 1_000_000
_SECRETS = (
    (re.compile(r"(://).*@", re.DOTALL), r"\1...@"),
    (re.compile(r"(password\s*=\s*)('[^']*'|\S+)", re.IGNORECASE), r"\1..."),
)


def program() -> str:
    """Return how the command was called, for what to type next."""
    return SCRIPT if Path(sys.argv[0]).stem == SCRIPT else "python -m restore"


def escape_controls(text: str) -> str:
    """Escape control characters of text from a backup or a server, and make it one line.

    Control characters (an escape sequence begins with one), invisible ones that turn the direction
    of writing, and lone surrogates come out as their escapes in Python.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def hide_secrets(text: str) -> str:
    """Return a mistyped text without what may be a password in it."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def looks_like_dsn(text: str) -> bool:
    """Tell whether a word in another place was meant as a connection string."""
    return hide_secrets(text) != text or "://" in text


def clip(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Return a message, or the beginning of a long one, which may hold values of a backup."""
    return text if len(text) <= longest else f"{text[: longest - 4]} ..."


def first_few(texts: Sequence[str], most: int, between: str = ", ") -> str:
    """Join the first few texts, and count the others."""
    surplus = [f"and {len(texts) - most:,} more"] if len(texts) > most else []
    return between.join([*texts[:most], *surplus])


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def quote_word(word: str) -> str:
    """Quote a word for a shell; unprintable characters in the form of bash, ksh and zsh."""
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_shell_escape, word))}'"


def _shell_escape(character: str) -> str:
    if character in {"'", "\\"}:
        return f"\\{character}"
    if character.isprintable():
        return character
    # A byte of a file's name that is no UTF-8 is such a surrogate.
    escaped = "\udc80" <= character <= "\udcff"
    data = character.encode(errors="surrogateescape" if escaped else "surrogatepass")
    return "".join(f"\\{byte:03o}" for byte in data)


def shell_option(flag: str, value: str) -> str:
    """Write an option and its value for a shell."""
    return f"{flag}{'=' if value.startswith('-') else ' '}{quote_word(value)}"


def pluralize(number: int, one: str, many: str | None = None) -> str:
    """Write ``1 record`` or ``2 records``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Write a duration to the precision that a person needs.

    These come out: ``0.04 s``, ``1.2 s``, ``2 min 5 s``, ``3 h 9 min``.

    Args:
        seconds: the time, in seconds.
    """
    if seconds < _EXACT_BELOW_S:
        return f"{seconds:.2f} s" if seconds < _FINE_BELOW_S else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 2 * _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"


def time_left(seconds: float) -> str:
    """Write an estimate, in whole seconds, none of them zero: ``4 s left``."""
    whole = max(math.ceil(seconds), 1)
    return f"{whole} s left" if whole < _EXACT_BELOW_S else f"{duration(whole)} left"


def megabytes(part: int, whole: int) -> str:
    """Write ``5.2/40.1 MB``; a part never exceeds its whole."""
    return f"{min(part, whole) / _MEGABYTE:,.1f}/{whole / _MEGABYTE:,.1f} MB"
