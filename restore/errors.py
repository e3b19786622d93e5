"""Errors that stop a restore or reject a record. Messages are one line and say what to do."""

from __future__ import annotations


class RestoreError(Exception):
    """Base of all errors that a caller may expect.

    Attributes:
        exit_code: the exit code of the command.
        options: the fields of ``Options`` that are at fault.
    """

    exit_code = 1

    def __init__(self, message: str = "", *, options: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.options = options


class UsageError(RestoreError):
    """The command line, the environment or a settings file is not valid."""

    exit_code = 2


class BackupError(RestoreError):
    """The backup is missing, cannot be read, or is not a backup; or options exclude each other."""

    exit_code = 2


class StoreError(BackupError):
    """A store does not answer, or not now: a later attempt may succeed."""

    exit_code = 1


class SchemaError(RestoreError):
    """Backup and database do not match: a table is missing, or is not empty."""

    exit_code = 2


class LoadError(RestoreError):
    """The database did not answer, refused a statement, or closed the connection."""


class ConnectionLostError(LoadError):
    """The connection to the database is lost; a new one may succeed."""


class LossyValueError(ValueError):
    """A column cannot hold a value exactly; PostgreSQL is not asked to round it."""


class UnsupportedFormError(ValueError):
    """A value has no form that is converted here; PostgreSQL may accept its text."""


class Interrupted(KeyboardInterrupt):
    """A restore was interrupted while it was writing.

    Attributes:
        needs_repair: indexes, keys or triggers are dropped.
        resumable: --resume continues it.
    """

    def __init__(self, *, needs_repair: bool, resumable: bool) -> None:
        super().__init__()
        self.needs_repair = needs_repair
        self.resumable = resumable
