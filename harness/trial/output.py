"""Reads the files that an engine wrote: its last line and its report, without passwords."""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import BinaryIO

# An engine's report has a line per table; a larger file is no report.
REPORT_LIMIT_BYTES = 1 << 20

# A record holds the report a few levels down, and is read by deeper calls.
_SPARE_LEVELS = 100

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


def open_regular(path: Path) -> BinaryIO:
    """Open a file that an engine wrote; a pipe in its place would never end.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.open("rb")


def read_report(path: Path) -> str | None:
    """Return the text of an engine's report; None if there is none, or a larger file.

    Raises:
        ValueError: it is no report; the message says why.
    """
    try:
        with open_regular(path) as file:
            content = file.read(REPORT_LIMIT_BYTES + 1)
        if len(content) > REPORT_LIMIT_BYTES:
            return None
        msgspec.json.decode(content)
        msgspec.json.decode(b"[" * _SPARE_LEVELS + content + b"]" * _SPARE_LEVELS)
        return content.decode()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"report: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"report: not valid JSON ({error})") from error


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
        with open_regular(path) as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [_ESCAPES.sub("", line) for line in re.split(r"[\r\n]+", text)]
