"""Resolves options from the command line, the environment, a TOML file and the defaults.

The command line takes precedence over the environment, that over the file, and that over defaults.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct
from msgspec.structs import replace

from restore.cli.option_table import OPTIONS
from restore.cli.option_values import MAP, MAP_COLUMN
from restore.errors import BackupError, UsageError
from restore.options import Options
from restore.target import dsn as connection
from restore.text import escape_controls, hide_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from restore.cli.arguments import Arguments, Given
    from restore.cli.option_table import ProgressForm
    from restore.remote.path import BackupPath

_FILES = ("restore.toml", "pyproject.toml")
_ENVIRONMENT = "RESTORE_"
_DSN_VARIABLE = "DATABASE_URL"  # what web applications call it
# One of these tells libpq where to connect; PGPASSWORD alone, say, does not.
LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE", "PGSERVICEFILE")
SETTINGS = {name: option for name, option in OPTIONS.items() if option.is_setting}
_OF_INFER = ("out", "sample")
_SHOWN = 40


class Setting(Struct, frozen=True):
    """A value and its origin: ``--clean``, ``RESTORE_CLEAN``, ``clean in restore.toml``."""

    value: object
    origin: str


class Settings(Struct, frozen=True, kw_only=True):
    """The settings of one run.

    ``report`` is the file to write the report to, ``out`` that for an inferred schema, and
    ``sample`` how many records of each table are looked at for that; None: all.
    """

    options: Options
    report: BackupPath | None = None
    progress: ProgressForm = "auto"
    out: BackupPath | None = None
    sample: int | None = None


def resolve(arguments: Arguments, environment: Mapping[str, str]) -> Settings:
    """Resolve the settings that a command has; a retry always appends.

    Raises:
        UsageError: a value, a key or a file is not valid.
        BackupError: values exclude each other or are out of bounds.
    """
    config = arguments.given.get("config") or environment.get(_ENVIRONMENT + "CONFIG")
    settings = dict(_from_toml(Path(str(config)) if config else None))
    settings |= _from_environment(environment)
    given = {n: value for n, value in arguments.given.items() if n in {*SETTINGS, *_OF_INFER}}
    settings |= _from_command_line(given)
    settings = {n: s for n, s in settings.items() if arguments.task in OPTIONS[n].commands}
    if arguments.task == "retry":
        settings["append"] = Setting(value=True, origin="retry")
    if arguments.task == "infer":
        _check_sample(settings)
    else:
        _resolve_target(settings, environment)
    command = {name: s.value for name, s in settings.items() if OPTIONS[name].is_for_command}
    return Settings(options=_options(arguments.path, settings), **cast("dict[str, Any]", command))


def _options(path: BackupPath, settings: Mapping[str, Setting]) -> Options:
    """Make the options; an error names the origin of a value that is not on the command line.

    Raises:
        BackupError: values exclude each other or are out of bounds.
    """
    values: dict[str, Any] = {
        OPTIONS[name].field: setting.value
        for name, setting in settings.items()
        if not OPTIONS[name].is_for_command
    }
    try:
        return Options(backup=path, **values)
    except BackupError as error:
        origins = [settings[name].origin for name in error.options if name in settings]
        elsewhere = [origin for origin in origins if not origin.startswith("--")]
        note = f" (it says {', '.join(elsewhere)})" if elsewhere else ""
        raise BackupError(f"{error}{note}", options=error.options) from error


def _check_sample(settings: Mapping[str, Setting]) -> None:
    sample = settings.get("sample")
    if sample is not None and int(str(sample.value)) < 1:
        raise UsageError(f"--sample {sample.value} is out of bounds: choose at least 1")


def _resolve_target(settings: dict[str, Setting], environment: Mapping[str, str]) -> None:
    """Check that there is a target; take the schema from a URL as Prisma and JDBC write it.

    Raises:
        UsageError: there is no target, or it is not a connection string.
    """
    if "dsn" not in settings:
        if not any(environment.get(name) for name in LIBPQ):
            raise UsageError(
                "no target database: give --dsn postgresql://user@host/database, or set"
                " RESTORE_DSN, DATABASE_URL or libpq's PGHOST, PGDATABASE, PGSERVICE, ..."
            )
        return
    text, origin = str(settings["dsn"].value), settings["dsn"].origin
    settings["dsn"] = replace(settings["dsn"], value=connection.check_dsn(text, origin))
    schema = connection.prisma_schema(text)
    if schema is not None:
        settings.setdefault("schema", Setting(schema, f"the URL of {origin}"))


def _from_command_line(given: Mapping[str, Given]) -> Iterator[tuple[str, Setting]]:
    """Read the options; the values of one that was repeated are joined by commas."""
    for name, value in given.items():
        flag = OPTIONS[name].flag
        if isinstance(value, bool):
            yield name, Setting(value, flag)
        else:
            text = value if isinstance(value, str) else ",".join(value)
            yield name, Setting(_read_text(name, text, flag), flag)


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Setting]]:
    """Read ``RESTORE_CLEAN`` and the like; an empty variable counts as not set."""
    for name in SETTINGS:
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
        raise UsageError(f"{escape_controls(str(config))} has no table [tool.restore]")
    if len(tables) > 1:
        raise UsageError(
            f"both {_FILES[0]} and {_FILES[1]} have [tool.restore]: name one, --config"
        )
    for path, table in tables:
        for key, value in table.items():
            name = _option_name(key, path)
            origin = f"{escape_controls(key)} in {escape_controls(str(path))}"
            read = _read(name, OPTIONS[name].value.read, value, origin)
            yield name, Setting(path.parent / read if isinstance(read, Path) else read, origin)


def _table(path: Path) -> dict[str, object] | None:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {escape_controls(str(path))}: {error.strerror}") from error
    if b"restore" not in data:
        return None  # it has no such table, and need not be parsed
    import tomllib  # noqa: PLC0415 - most restores have no such file

    try:
        tool = tomllib.loads(data.decode()).get("tool")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{escape_controls(str(path))} is not valid TOML: {escape_controls(str(error))}"
        ) from error
    table = tool.get("restore") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{escape_controls(str(path))}: tool.restore is not a table")
    return table


def _option_name(key: str, path: Path) -> str:
    name = key.replace("-", "_")
    if name in SETTINGS:
        return name
    import difflib  # noqa: PLC0415 - only a typo needs it

    close = difflib.get_close_matches(name, SETTINGS, n=1)
    hint = f"; did you mean {close[0].replace('_', '-')}?" if close else ""
    raise UsageError(
        f"{escape_controls(str(path))}: there is no setting {escape_controls(key)!r}{hint}"
    )


def _read_text(name: str, text: str, origin: str) -> object:
    return _read(name, OPTIONS[name].value.from_text, text, origin)


def _read(name: str, read: Callable[[Any], object], value: object, origin: str) -> object:
    try:
        return read(value)
    except (TypeError, ValueError) as error:
        raise UsageError(_wrong(name, value, origin)) from error


def _wrong(name: str, value: object, origin: str) -> str:
    """Say what a value should be; what it is may be a password that slipped into a wrong place."""
    value_type = OPTIONS[name].value
    shown = repr(value) if value_type not in {MAP, MAP_COLUMN} or isinstance(value, str) else "that"
    shown = "that" if name == "dsn" or len(shown) > _SHOWN else hide_secrets(shown)
    return f"{origin} takes {value_type.form}, not {shown}"
