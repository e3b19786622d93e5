"""A streaming restorer of JSON backups into PostgreSQL: flat in memory, fast, and lossless."""

from restore.errors import BackupError, LoadError, RestoreError, SchemaError, UsageError
from restore.options import MaxRejects, Options
from restore.progress import Event, Found, Progress, Stage, TableDone, Warned
from restore.report import Report, TableReport
from restore.run import restore

__all__ = [
    "BackupError",
    "Event",
    "Found",
    "LoadError",
    "MaxRejects",
    "Options",
    "Progress",
    "Report",
    "RestoreError",
    "SchemaError",
    "Stage",
    "TableDone",
    "TableReport",
    "UsageError",
    "Warned",
    "restore",
]
