"""What an engine said last, fit to be kept: one line, of bounded length, without passwords."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LINE_LIMIT = 400
HIDDEN = "***"

# The end of what was said; an engine can fill gigabytes with warnings.
_TAIL_BYTES = 16384

_PASSWORD = re.compile(
    r"(?<=://)([^\s:/@]*):[^\s/@]+@|(?<=password=)('[^']*'|[^\s&'\"]+)", re.IGNORECASE
)
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# The lines that a traceback or an exception of SQLAlchemy ends with, below the one that says why.
_NOISE = re.compile(r"\s*\(Background on this error at:|[\s~^]*$|\[(SQL|parameters): |\s*LINE \d+:")


def last_line(files: Iterable[Path], secrets: Iterable[str] = ()) -> str | None:
    """Return the last line with a meaning in the first of ``files`` that has one."""
    hidden = list(secrets)
    for path in files:
        lines = [line for line in _tail(path) if not _NOISE.match(line)]
        if lines:
            return redact(" ".join(lines[-1].split()), hidden)[:LINE_LIMIT]
    return None


def redact(text: str, secrets: Iterable[str]) -> str:
    """Hide passwords: the known ones, and what stands where one would."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return _PASSWORD.sub(lambda found: f"{found[1]}:{HIDDEN}@" if found[1] else HIDDEN, text)


def without_folders(text: str, *folders: Path) -> str:
    """Leave only names of paths in these folders: where they are on a machine is its own affair."""
    for folder in folders:
        text = text.replace(f"{folder}{os.sep}", "")
    return text


def _tail(path: Path) -> list[str]:
    """Return the last lines of a file; none if it is not there."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [_ESCAPES.sub("", line) for line in re.split(r"[\r\n]+", text)]
