"""From what the command line, the environment and a TOML file say to what a restore is told.

The command line goes before the environment, that before the file, and that before the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from restore.cli.option_values import KINDS, MAP, NAMES, OF_RESTORE
from restore.errors import BackupError, UsageError
from restore.options import Options
from restore.target import dsn as connection
from restore.text import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ProgressForm = Literal["auto", "bar", "plain", "none"]
Given = bool | str | list[str]

_FILES = ("restore.toml", "pyproject.toml")
_ENVIRONMENT = "RESTORE_"
_DSN_VARIABLE = "DATABASE_URL"  # what web applications call it
# One of these says that libpq knows where to; PGPASSWORD alone, say, does not.
LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE", "PGSERVICEFILE")
# What a retry has no use for: it puts records beside the rows that are there.
NOT_OF_RETRY = frozenset(
    {
        "clean",
        "cascade",
        "append",
        "map",
        "dry_run",
        "keep_indexes",
        "atomic",
        "resume",
        "retry_for",
    }
)
# What bringing things back has a use for.
OF_REPAIR = frozenset({"dsn", "lock_timeout", "jobs"})
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and who gave it: ``--clean``, ``RESTORE_CLEAN``, ``clean in restore.toml``."""

    value: object
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that the command is told. ``report`` is the file to write it to, if one is wanted."""

    options: Options
    report: Path | None = None
    progress: ProgressForm = "auto"


def settle(
    path: Path,
    given: Mapping[str, Given],
    environment: Mapping[str, str],
    *,
    retry: bool = False,
    repair: bool = False,
) -> Settings:
    """Settle what is said in several places.

    Args:
        path: the backup, or the rejects that are tried again.
        given: what the command line says, by the option's name with ``_``.
        environment: the environment.
        retry: this is a retry, which has fewer options, and always appends.
        repair: nothing is restored, but what is aside brought back.

    Raises:
        UsageError: a value, a key or a file makes no sense.
        BackupError: values exclude each other or are out of bounds.
    """
    config = given.get("config") or environment.get(_ENVIRONMENT + "CONFIG")
    settings = dict(_from_toml(Path(str(config)) if config else None))
    settings |= _from_environment(environment)
    settings |= _from_command_line(given)
    if retry:
        settings = {name: s for name, s in settings.items() if name not in NOT_OF_RETRY}
        settings["append"] = Setting(value=True, origin="retry")
    if repair:
        settings = {name: s for name, s in settings.items() if name in OF_REPAIR}
    _settle_target(settings, environment)
    command = {name: s.value for name, s in settings.items() if name not in OF_RESTORE}
    return Settings(options=_options(path, settings), **cast("dict[str, Any]", command))


def _options(path: Path, settings: Mapping[str, Setting]) -> Options:
    """Make the options; an error names where a value comes from that is not of the command line.

    Raises:
        BackupError: values exclude each other or are out of bounds.
    """
    values: dict[str, Any] = {name: settings[name].value for name in OF_RESTORE if name in settings}
    for name in {"lock_timeout", "retry_for"} & values.keys():
        values[f"{name}_s"] = values.pop(name)
    try:
        return Options(backup=path, **values)
    except BackupError as error:
        origins = [settings[name].origin for name in error.options if name in settings]
        elsewhere = [origin for origin in origins if not origin.startswith("--")]
        note = f" (it says {', '.join(elsewhere)})" if elsewhere else ""
        raise BackupError(f"{error}{note}", options=error.options) from error


def _settle_target(settings: dict[str, Setting], environment: Mapping[str, str]) -> None:
    """See that it is known where to, and take a URL as Prisma and SQLAlchemy write it.

    Raises:
        UsageError: nobody says where to, or what was said is no connection string.
    """
    if "dsn" not in settings:
        if not any(environment.get(name) for name in LIBPQ):
            raise UsageError(
                "where to? give --dsn postgresql://user@host/database, or set RESTORE_DSN,"
                " DATABASE_URL or libpq's PGHOST, PGDATABASE, PGSERVICE, ..."
            )
        return
    text, origin = str(settings["dsn"].value), settings["dsn"].origin
    settings["dsn"] = replace(settings["dsn"], value=connection.checked(text, origin))
    schema = connection.schema_named(text)
    if schema is not None:
        settings.setdefault("schema", Setting(schema, f"the URL of {origin}"))


def _from_command_line(given: Mapping[str, Given]) -> Iterator[tuple[str, Setting]]:
    for name, value in given.items():
        if name not in KINDS:
            continue  # --config, which is no setting itself
        flag = _flag(name)
        if isinstance(value, bool):
            yield name, Setting(value, flag)
        elif isinstance(value, str):
            yield name, Setting(_read_text(name, value, flag), flag)
        else:
            yield name, Setting(_merge(name, value, flag), flag)


def _merge(name: str, texts: Iterable[str], origin: str) -> object:
    """Read an option that was given several times."""
    read = [_read_text(name, text, origin) for text in texts]
    if KINDS[name] is NAMES:
        return frozenset().union(*cast("list[frozenset[str]]", read))
    return {
        file: table for pairs in cast("list[dict[str, str]]", read) for file, table in pairs.items()
    }


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Setting]]:
    """Read ``RESTORE_CLEAN`` and the like; a variable that is empty says nothing."""
    for name in KINDS:
        variable = _ENVIRONMENT + name.upper()
        if text := environment.get(variable):
            yield name, Setting(_read_text(name, text, variable), variable)
        elif name == "dsn" and (text := environment.get(_DSN_VARIABLE)):
            yield name, Setting(text, _DSN_VARIABLE)


def _from_toml(config: Path | None) -> Iterator[tuple[str, Setting]]:
    """Read the table ``[tool.restore]`` of a file; paths in it are relative to the file."""
    found = [config] if config else [path for path in map(Path, _FILES) if path.is_file()]
    tables = [(path, table) for path in found if (table := _table(path)) is not None]
    if config and not tables:
        raise UsageError(f"{safe(str(config))} has no table [tool.restore]")
    if len(tables) > 1:
        raise UsageError(
            f"both {_FILES[0]} and {_FILES[1]} have [tool.restore]: name one, --config"
        )
    for path, table in tables:
        for key, value in table.items():
            name = _known(key, path)
            origin = f"{safe(key)} in {safe(str(path))}"
            read = _read_toml(name, value, origin)
            yield name, Setting(path.parent / read if isinstance(read, Path) else read, origin)


def _table(path: Path) -> dict[str, object] | None:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {safe(str(path))}: {error.strerror}") from error
    if b"restore" not in data:
        return None  # so it has no such table, and need not be parsed
    import tomllib  # noqa: PLC0415 - most restores have no such file

    try:
        tool = tomllib.loads(data.decode()).get("tool")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{safe(str(path))} is no TOML: {safe(str(error))}") from error
    table = tool.get("restore") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{safe(str(path))}: tool.restore is no table")
    return table


def _known(key: str, path: Path) -> str:
    name = key.replace("-", "_")
    if name in KINDS:
        return name
    import difflib  # noqa: PLC0415 - only a slip of the finger needs it

    close = difflib.get_close_matches(name, KINDS, n=1)
    hint = f"; did you mean {close[0].replace('_', '-')}?" if close else ""
    raise UsageError(f"{safe(str(path))}: there is no setting {safe(key)!r}{hint}")


def _read_text(name: str, text: str, origin: str) -> object:
    try:
        return KINDS[name].from_text(text)
    except (TypeError, ValueError) as error:
        raise UsageError(_wrong(name, text, origin)) from error


def _read_toml(name: str, value: object, origin: str) -> object:
    try:
        return KINDS[name].from_toml(value)
    except (TypeError, ValueError) as error:
        raise UsageError(_wrong(name, value, origin)) from error


def _wrong(name: str, value: object, origin: str) -> str:
    """Say what a value should be. What it is may be a password that slipped into a wrong place."""
    shown = repr(value) if KINDS[name] is not MAP or isinstance(value, str) else "that"
    shown = "that" if name == "dsn" or len(shown) > _SHOWN else connection.hide_secrets(shown)
    return f"{origin} takes {KINDS[name].form}, not {shown}"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
