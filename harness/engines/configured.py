"""Engines of the user's, ``[tool.harness.engine.NAME]`` in ``pyproject.toml``: their promises."""

from __future__ import annotations

import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from harness.engines.engine import Engine, Limitation, check_name, template_of
from harness.engines.registry import is_taken
from harness.engines.version import first_line
from harness.model.errors import InputError
from harness.model.record import Status

SETTINGS = Path("pyproject.toml")
TABLE = "tool.harness.engine"
_FAULTS = ("realistic", "hostile", "as found")
_COMPRESSIONS = ("none", "gz", "zst", "bz2", "xz", "mixed")


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An engine as it is configured.

    Args:
        command: a command line with ``{backup}`` and ``{dsn}``, and optionally ``{report}``,
            ``{rejects}`` and ``{jobs}``: one text, split as by a shell, or a list of words.
        versions: a text to record, or a command as a list, of which the first line is recorded.
        keeps_rejects: it writes rejects and exits with 3 if there are any; by default if its
            command has ``{rejects}``.
        exit_codes: those after which its result is judged; all others are errors.
        clean_data_only: it is not tried on damaged datasets.
        compressions: it is not tried on datasets that are compressed in other ways.
    """

    command: str | list[str]
    versions: str | list[str] | None = None
    keeps_rejects: bool | None = None
    exit_codes: tuple[int, ...] = (0, 3)
    clean_data_only: bool = False
    compressions: tuple[str, ...] = _COMPRESSIONS


def load(path: Path | None) -> dict[str, EngineSettings]:
    """Read the engines of a file, by name; of the current folder's, if it is there.

    Raises:
        InputError: the file cannot be read, or an engine makes no sense.
    """
    file = path or SETTINGS
    try:
        found: Any = tomllib.loads(file.read_text(encoding="utf-8"))
        for key in TABLE.split("."):
            found = found.get(key, {})
        settings = msgspec.convert(found, dict[str, EngineSettings])
    except FileNotFoundError:
        if path is None:
            return {}
        raise InputError(f"--config {path}: there is no such file") from None
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{file}: [{TABLE}] is invalid: {error}") from error
    for name, each in settings.items():
        _check(name, each, file)
    return settings


def engine(name: str, settings: EngineSettings) -> Engine:
    """Return a configured engine, with its version as it is now.

    Raises:
        InputError: its version cannot be told.
    """
    words = _words(settings.command)
    template = template_of(words, name)
    keeps = settings.keeps_rejects
    why = f"its configuration says that it does not restore {{}} ([{TABLE}.{name}])"
    damaged = _FAULTS if settings.clean_data_only else ()
    unread = [each for each in _COMPRESSIONS if each not in settings.compressions]
    return Engine(
        name=name,
        template=template,
        keeps_rejects=any("{rejects}" in word for word in words) if keeps is None else keeps,
        limitations=tuple(
            Limitation(key, value, Status.SKIPPED, why.format(what), skip=True)
            for key, values, what in (
                ("faults", damaged, "damaged data"),
                ("compress", unread, "such files"),
            )
            for value in values
        ),
        exit_codes=settings.exit_codes,
        version=_version(name, settings.versions),
        settings=msgspec.json.encode({"name": name, **msgspec.structs.asdict(settings)}).decode(),
    )


def recorded(text: str) -> Engine:
    """Return the engine that a run recorded.

    Raises:
        InputError: it makes no sense, or its version cannot be told.
    """
    fields = msgspec.json.decode(text, type=dict[str, Any])
    name = str(fields.pop("name", ""))
    try:
        return engine(name, msgspec.convert(fields, EngineSettings))
    except msgspec.ValidationError as error:
        raise InputError(f"the run's engine {name} is invalid: {error}") from error


def _check(name: str, settings: EngineSettings, file: Path) -> None:
    place = f"{file}: [{TABLE}.{name}]"
    try:
        check_name(name, place)
        if is_taken(name):
            raise InputError(f"{place}: an engine of that name exists; take another")
        template_of(_words(settings.command), place)
    except ValueError as error:
        raise InputError(f"{place}: command: {error}") from error
    unknown = set(settings.compressions) - set(_COMPRESSIONS)
    if unknown:
        raise InputError(
            f"{place}: compressions: {', '.join(sorted(unknown))} unknown; "
            f"there are {', '.join(_COMPRESSIONS)}"
        )


def _words(command: str | list[str]) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else command


def _version(name: str, versions: str | list[str] | None) -> str | None:
    if versions is None or isinstance(versions, str):
        return versions
    try:
        return first_line(versions)
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise InputError(
            f"[{TABLE}.{name}]: versions: {shlex.join(versions)} tells no version ({error}); "
            "correct it, or write a text"
        ) from error
