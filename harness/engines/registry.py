"""The engines of the harness: its own in a table, peers by folder, and commands of the user's."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from harness.engines.engine import Engine, Limitation, check_name, module, template_of
from harness.engines.floor import encoded
from harness.engines.peers import catalog as peers
from harness.model.errors import InputError
from harness.model.record import FLOOR, OLDER_REFERENCE, REFERENCE, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]  # what ``import restore`` must find: this checkout

_NO_ZST = Limitation(
    key="compress",
    value="zst",
    status=Status.ERROR,
    why="it opens .json and .json.gz, which the standard library reads, and no .zst",
    skip=True,
)


def _step(name: str) -> Engine:
    """Return one of the steps from the naive restorer to the full one (``steps/``)."""
    return Engine(
        name=f"step-{name}",
        template=(
            *module(f"harness.engines.steps.{name.replace('-', '_')}"),
            *("{backup}", "--dsn={dsn}", "--report={report}"),
        ),
        limitations=(
            *(
                Limitation(
                    key="faults",
                    value=value,
                    status=Status.ERROR,
                    why="one bad record fails the one transaction of all tables",
                )
                for value in ("realistic", "hostile")
            ),
            _NO_ZST,
        ),
    )


STEPS: tuple[Engine, ...] = tuple(
    map(_step, ("batches", "streaming", "copy-text", "copy-binary", "constraints"))
)


def _legacy(name: str, driver: str) -> Engine:
    """Return the naive restorer with one of the drivers that people use with SQLAlchemy."""
    return Engine(
        name=name,
        template=(
            *module("legacy"),
            *("{backup}", "--dsn={dsn}", "--report={report}", f"--driver={driver}"),
        ),
        limitations=(
            Limitation(
                key="faults",
                value="realistic",
                status=Status.ERROR,
                why="one bad record fails the one insert of its table, and the table is lost",
            ),
            Limitation(
                key="faults",
                value="hostile",
                status=Status.ERROR,
                why="one bad record fails its table, one bad character the parse of its file",
            ),
            _NO_ZST,
        ),
    )


ENGINES: tuple[Engine, ...] = (
    _legacy(REFERENCE, "psycopg"),
    _legacy(OLDER_REFERENCE, "psycopg2"),
    Engine(
        name="restore",
        template=(
            *module("restore"),
            *("{backup}", "--dsn={dsn}", "--report={report}", "--rejects={rejects}"),
            "--jobs={jobs}",
        ),
        keeps_rejects=True,
        limitations=(
            Limitation(
                key="faults",
                value="hostile",
                status=Status.ERROR,
                why="a file whose table the database lacks stops it before anything is written;"
                " told to leave such files out (--exclude), it restores the rest",
            ),
        ),
    ),
    Engine(
        name=FLOOR,
        template=(
            *module("harness.engines.floor"),
            *("{prepared}", "--dsn={dsn}", "--report={report}", "--jobs={jobs}"),
        ),
        prepare=(
            *module("harness.engines.floor.encode"),
            "{dataset}",
            "--dsn={dsn}",
            "--out={out}",
        ),
        prepare_version=encoded.VERSION,
    ),
    *STEPS,
)

# What a bench runs unless it is told otherwise.
DEFAULT = tuple(engine.name for engine in ENGINES if engine not in STEPS)


def environment(server: Mapping[str, str], before: Sequence[Path] = ()) -> dict[str, str]:
    """Return what an engine runs in: this environment, the server's, this checkout first.

    Args:
        server: what it needs to connect.
        before: folders in which its Python looks for modules before the checkout.
    """
    path = [*map(str, before), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        **server,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }


def named(name: str, commands: tuple[Engine, ...] = ()) -> Engine:
    """Return the engine of that name: of the table, of ``commands``, or a peer.

    Raises:
        InputError: there is none.
    """
    known = {engine.name: engine for engine in (*ENGINES, *commands)}
    if name in known:
        return known[name]
    if name in peers.names():
        return peers.engine(name)
    raise InputError(
        f"no engine is called {name!r}; there are {', '.join((*known, *peers.names()))}, and your "
        "own with --engine-command 'NAME=COMMAND {backup} {dsn}' or [tool.harness.engine.NAME] in "
        "pyproject.toml"
    )


def command(text: str) -> Engine:
    """Make an engine of ``NAME=COMMAND``, a command line with placeholders.

    Raises:
        InputError: it makes no sense; the message says why.
    """
    name, equals, line = text.partition("=")
    place = f"--engine-command {text!r}"
    if not equals:
        raise InputError(
            f"{place}: expected NAME=COMMAND, such as mine='./mine {{backup}} {{dsn}}'"
        )
    check_name(name, place)
    if is_taken(name):
        raise InputError(f"--engine-command {name!r}: an engine of that name exists; take another")
    try:
        template = template_of(shlex.split(line), place)
    except ValueError as error:
        raise InputError(f"{place}: {error}") from error
    keeps_rejects = any("{rejects}" in part for part in template)
    return Engine(name, template, keeps_rejects=keeps_rejects, given=text)


def takes_prepared(name: str) -> bool:
    """Return whether an engine takes a prepared input in place of the backup."""
    return peers.takes_prepared(name) or any(
        engine.prepare for engine in ENGINES if engine.name == name
    )


def is_taken(name: str) -> bool:
    """Return whether an engine of the harness has that name."""
    return name in {engine.name for engine in ENGINES} or name in peers.names()
