"""Asks a program for its version."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# A program says its version in milliseconds.
_TIMEOUT_S = 60.0


def first_line(command: Sequence[str]) -> str:
    """Run a command, and return the first line that it prints.

    Raises:
        OSError: it cannot be started.
        subprocess.SubprocessError: it fails, or takes too long.
        IndexError: it prints nothing.
    """
    done = subprocess.run(  # noqa: S603 - the user's own or of this checkout, no shell
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=True,
    )
    return (done.stdout or done.stderr).strip().splitlines()[0]
