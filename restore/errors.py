"""What can stop a restore, or keep a record out. Messages are one line that says what to do."""

from __future__ import annotations


class RestoreError(Exception):
    """Base of all errors that a caller may expect.

    Attributes:
        exit_code: what the command ends with.
        options: the names of the options that are at fault, as fields of ``Options``.
    """

    exit_code = 1

    def __init__(self, message: str = "", *, options: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.options = options


class UsageError(RestoreError):
    """The command line, the environment or a settings file says what makes no sense."""

    exit_code = 2


class BackupError(RestoreError):
    """The backup is not there, cannot be read, or is none."""

    exit_code = 2


class SchemaError(RestoreError):
    """Backup and database do not fit: a table is missing, or is not empty."""

    exit_code = 2


class LoadError(RestoreError):
    """The database did not answer, refused, or went away."""


class LostError(LoadError):
    """The connection to the database is lost, and another may be had."""


class LossError(ValueError):
    """A column cannot hold a value as it is; PostgreSQL is not asked to guess."""


class NotTypedError(ValueError):
    """A value is of no form that we convert; PostgreSQL may know better."""


class Interrupted(KeyboardInterrupt):
    """A restore was interrupted in the middle.

    Attributes:
        needs_repair: indexes, keys or triggers are still aside.
        resumable: --resume goes on with it.
    """

    def __init__(self, *, needs_repair: bool, resumable: bool) -> None:
        super().__init__()
        self.needs_repair = needs_repair
        self.resumable = resumable
