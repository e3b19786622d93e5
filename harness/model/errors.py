"""The errors of the harness, and the exit codes of its commands.

Every error that a user can cause is a ``HarnessError``: its text is one line that says what failed,
why, and what to do next, and never contains a password. ``python -m harness`` prints that line and
exits with ``exit_code``; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import enum
from typing import ClassVar


class ExitCode(enum.IntEnum):
    """The exit codes of every command of the project (``docs/interfaces.md``)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REJECTS = 3
    WORSE = 4


class HarnessError(Exception):
    """A failure that the user can do something about."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED


class InputError(HarnessError):
    """Invalid usage or input."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


class HistoryError(HarnessError):
    """The history of runs could not be written or read."""
