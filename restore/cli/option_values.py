"""How the value of an option is read, from text and from TOML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from restore.errors import BackupError
from restore.options import MaxRejects, OnConflict, OnError, UnknownFields

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRESS = ("auto", "bar", "plain", "none")
_TRUTH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(
    ("0", "false", "no", "off"), False
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value.

    Attributes:
        form: what it should be, for an error: "takes ...".
        from_text: reads it from a command line or the environment.
        from_toml: reads it from what a TOML file holds. Both raise ValueError or
            TypeError if it is none.
    """

    form: str
    from_text: Callable[[str], object]
    from_toml: Callable[[object], object]


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _nonempty(value: str) -> str:
    if not value:
        raise ValueError
    return value


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise ValueError
    return _TRUTH[text.lower()]


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value


def _names(text: str) -> frozenset[str]:
    return frozenset(_nonempty(name.strip()) for name in text.split(","))


def _list_of_names(value: object) -> frozenset[str]:
    if isinstance(value, list):
        return frozenset(_nonempty(_string(name)) for name in value)
    return _names(_string(value))


def _pairs(text: str) -> dict[str, str]:
    """Read ``FILE=TABLE``, several with commas between; a file's name may hold an ``=``."""
    parted = [pair.rpartition("=") for pair in text.split(",")]
    return {_nonempty(file.strip()): _nonempty(table.strip()) for file, _, table in parted}


def _table_of_names(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError
    return {file: _nonempty(_string(table)) for file, table in value.items()}


def _batch_size(text: str) -> int | None:
    return None if text == "auto" else int(text)


def _max_rejects(text: str) -> MaxRejects:
    try:
        return MaxRejects.parse(text)
    except BackupError as error:
        raise ValueError from error


def _choice(*choices: str) -> Kind:
    def read(value: object) -> str:
        if value not in choices:
            raise ValueError
        return str(value)

    return Kind(f"{', '.join(choices[:-1])} or {choices[-1]}", read, read)


TEXT = Kind("a text", _nonempty, lambda value: _nonempty(_string(value)))
CONNECTION = Kind("a connection string", str, _string)
PATH = Kind("a path", lambda text: Path(_nonempty(text)), lambda v: Path(_nonempty(_string(v))))
FLAG = Kind("true or false", _truth, _boolean)
NAMES = Kind("names, with commas between them", _names, _list_of_names)
MAP = Kind("names of files and their tables: FILE=TABLE", _pairs, _table_of_names)
COUNT = Kind("a whole number", int, _whole)
SECONDS = Kind("a number of seconds", float, _number)
BATCH_SIZE = Kind(
    "a number of records, or auto",
    _batch_size,
    lambda value: _batch_size(value) if isinstance(value, str) else _whole(value),
)
MAX_REJECTS = Kind(
    "a count, 100, or a share, 2.5%",
    _max_rejects,
    lambda value: _max_rejects(value if isinstance(value, str) else str(_whole(value))),
)

# The options by their names in Options, and after them what the command alone is told.
OF_RESTORE: dict[str, Kind] = {
    "dsn": CONNECTION,
    "rejects": PATH,
    "schema": TEXT,
    "tables": NAMES,
    "exclude": NAMES,
    "map": MAP,
    "clean": FLAG,
    "cascade": FLAG,
    "append": FLAG,
    "on_conflict": _choice(*get_args(OnConflict)),
    "dry_run": FLAG,
    "atomic": FLAG,
    "resume": FLAG,
    "retry_for": SECONDS,
    "unknown_fields": _choice(*get_args(UnknownFields)),
    "max_rejects": MAX_REJECTS,
    "on_error": _choice(*get_args(OnError)),
    "triggers": FLAG,
    "keep_indexes": FLAG,
    "timezone": TEXT,
    "batch_size": BATCH_SIZE,
    "chunk_bytes": COUNT,
    "lock_timeout": SECONDS,
    "without": NAMES,
    "jobs": COUNT,
}
OF_COMMAND: dict[str, Kind] = {"report": PATH, "progress": _choice(*PROGRESS)}
KINDS = OF_RESTORE | OF_COMMAND
