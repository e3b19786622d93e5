"""Types of option values: how each is read from text and from TOML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from restore.errors import BackupError
from restore.options import MaxRejects
from restore.remote.path import to_path

if TYPE_CHECKING:
    from collections.abc import Callable

_TRUTH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(
    ("0", "false", "no", "off"), False
)


class ValueType(NamedTuple):
    """A type of value.

    Attributes:
        form: what a value should be, for an error: "takes ...".
        from_text: reads text of the command line, the environment or TOML; raises ValueError.
        toml_types: what a TOML file may hold.
        from_toml: reads what a TOML file holds if that is no text; raises ValueError or TypeError.
        is_repeatable: the option may be repeated; commas separate the values.
    """

    form: str
    from_text: Callable[[str], Any]
    toml_types: tuple[type, ...] = (str,)
    from_toml: Callable[[Any], Any] = lambda value: value
    is_repeatable: bool = False

    def read(self, value: object) -> object:
        """Read a value of a TOML file.

        Raises:
            ValueError: it is out of form.
            TypeError: it is of another type.
        """
        if type(value) not in self.toml_types:
            raise TypeError
        return self.from_text(value) if isinstance(value, str) else self.from_toml(value)


def _nonempty(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not value:
        raise ValueError
    return value


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise ValueError
    return _TRUTH[text.lower()]


def _names(text: str) -> frozenset[str]:
    return frozenset(_nonempty(name.strip()) for name in text.split(","))


def _pairs(text: str) -> dict[str, str]:
    """Read ``FILE=TABLE``, several with commas between; a file's name may hold an ``=``."""
    pairs = [pair.rpartition("=") for pair in text.split(",")]
    return {_nonempty(file.strip()): _nonempty(table.strip()) for file, _, table in pairs}


def _units(text: str) -> dict[str, str]:
    """Read a unit for all columns, ``ms``, or for some, ``users.born=ms``."""
    pairs = [pair.rpartition("=") for pair in text.split(",")]
    return {
        (_nonempty(column.strip()) if sign else ""): _nonempty(unit.strip())
        for column, sign, unit in pairs
    }


def _max_rejects(value: object) -> MaxRejects:
    try:
        return MaxRejects.parse(str(value))
    except BackupError as error:
        raise ValueError from error


def choice(choices: tuple[str, ...]) -> ValueType:
    """Make the type of an option that takes one of several words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    return ValueType(f"{', '.join(choices[:-1])} or {choices[-1]}", read)


TEXT = ValueType("a text", _nonempty)
CONNECTION = ValueType("a connection string", str)
PATH = ValueType("a path", lambda text: to_path(_nonempty(text)))
FLAG = ValueType("true or false", _truth, (bool,))
NAMES = ValueType(
    "names, with commas between them",
    _names,
    (str, list),
    lambda names: frozenset(map(_nonempty, names)),
    is_repeatable=True,
)
MAP = ValueType(
    "names of files and their tables: FILE=TABLE",
    _pairs,
    (dict,),
    lambda tables: {file: _nonempty(table) for file, table in tables.items()},
    is_repeatable=True,
)
MAP_COLUMN = MAP._replace(form="fields and their columns: TABLE.FIELD=COLUMN")
UNITS = ValueType(
    "s, ms, us or ns, or columns and their units: TABLE.COLUMN=UNIT",
    _units,
    (str, dict),
    lambda units: {column: _nonempty(unit) for column, unit in units.items()},
    is_repeatable=True,
)
COUNT = ValueType("a whole number", int, (int,))
SECONDS = ValueType("a number of seconds", float, (int, float))
BATCH_SIZE = ValueType(
    "a number of records, or auto", lambda text: None if text == "auto" else int(text), (str, int)
)
MAX_REJECTS = ValueType("a count, 100, or a share, 2.5%", _max_rejects, (str, int), _max_rejects)
