"""A streaming restorer of JSON backups into PostgreSQL: flat in memory, fast, and lossless.

Names are imported when they are used, so that the command can answer Ctrl-C before it has imported
the restorer.
"""

TYPE_CHECKING = False  # what is imported here comes before the import path is safe
if TYPE_CHECKING:
    from typing import Any

    from restore.commands.restore import restore
    from restore.errors import BackupError, LoadError, RestoreError, SchemaError, UsageError
    from restore.options import MaxRejects, Options
    from restore.report.events import BackupFound, Event, Progress, Stage, TableDone, WarningEvent
    from restore.report.model import Report, TableReport

__all__ = [
    "BackupError",
    "BackupFound",
    "Event",
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
    "WarningEvent",
    "restore",
]

_MODULES = {
    "errors": ("BackupError", "LoadError", "RestoreError", "SchemaError", "UsageError"),
    "options": ("MaxRejects", "Options"),
    "report.events": ("Event", "BackupFound", "Progress", "Stage", "TableDone", "WarningEvent"),
    "report.model": ("Report", "TableReport"),
    "commands.restore": ("restore",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> "Any":  # noqa: ANN401 - any of them
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - see above

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
