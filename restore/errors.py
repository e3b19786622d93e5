"""What can stop a restore. The message of each is one line that says what to do next."""

from __future__ import annotations


class RestoreError(Exception):
    """Base of all errors that a caller may expect. ``exit_code`` is what the command ends with."""

    exit_code = 1


class BackupError(RestoreError):
    """The backup is not there, cannot be read, or is none."""

    exit_code = 2


class SchemaError(RestoreError):
    """Backup and database do not fit: a table is missing, or is not empty."""

    exit_code = 2


class LoadError(RestoreError):
    """The database did not answer, refused, or went away."""
