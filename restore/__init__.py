"""A streaming restorer of JSON backups into PostgreSQL: flat in memory, fast, and lossless."""

from restore.errors import BackupError, LoadError, RestoreError, SchemaError
from restore.options import Options
from restore.progress import Event, Progress
from restore.report import Report, TableReport
from restore.run import restore

__all__ = [
    "BackupError",
    "Event",
    "LoadError",
    "Options",
    "Progress",
    "Report",
    "RestoreError",
    "SchemaError",
    "TableReport",
    "restore",
]
