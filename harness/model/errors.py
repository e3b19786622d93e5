"""The harness's errors, and the exit codes that they end a command with.

Every error that a user can cause is a ``HarnessError``: its text is one line that says what is
wrong and what to do next, never holding a password. ``python -m harness`` prints that line and
exits with ``exit_code``; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import enum
from typing import ClassVar


class ExitCode(enum.IntEnum):
    """What every command of the project ends with (``docs/formats.md``)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REJECTS = 3
    WORSE = 4


class HarnessError(Exception):
    """Something went wrong that the user can do something about."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED


class InputError(HarnessError):
    """Usage or input that makes no sense."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


class HistoryError(HarnessError):
    """The history of runs could not be written or read."""
