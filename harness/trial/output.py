"""The last line of an engine's output, bounded in length and without passwords."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LINE_LIMIT = 400
HIDDEN = "***"

# Only the end is read; an engine can write gigabytes of warnings.
_TAIL_BYTES = 16384

_PASSWORD = re.compile(
    r"(?<=://)([^\s:/@]*):[^\s/@]+@|(?<=password=)('[^']*'|[^\s&'\"]+)", re.IGNORECASE
)
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# The lines at the end of a traceback or SQLAlchemy exception, below the one with the reason.
_NOISE = re.compile(r"\s*\(Background on this error at:|[\s~^]*$|\[(SQL|parameters): |\s*LINE \d+:")


def last_line(files: Iterable[Path], secrets: Iterable[str] = ()) -> str | None:
    """Return the last meaningful line of the first of ``files`` that has one."""
    hidden = list(secrets)
    for path in files:
        lines = [line for line in _tail(path) if not _NOISE.match(line)]
        if lines:
            return redact(" ".join(lines[-1].split()), hidden)[:LINE_LIMIT]
    return None


def redact(text: str, secrets: Iterable[str]) -> str:
    """Hide passwords: the known ones, and any text in the place of one."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return _PASSWORD.sub(lambda found: f"{found[1]}:{HIDDEN}@" if found[1] else HIDDEN, text)


def without_folders(text: str, *folders: Path) -> str:
    """Make paths below these folders relative."""
    for folder in folders:
        text = text.replace(f"{folder}{os.sep}", "")
    return text


def _tail(path: Path) -> list[str]:
    """Return the last lines of a file; none if it does not exist."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [_ESCAPES.sub("", line) for line in re.split(r"[\r\n]+", text)]
