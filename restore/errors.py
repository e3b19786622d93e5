"""What can stop a restore, or keep a record out. Messages are one line that says what to do."""

from __future__ import annotations


class RestoreError(Exception):
    """Base of all errors that a caller may expect. ``exit_code`` is what the command ends with."""

    exit_code = 1


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
