"""The table of ways to restore: how each is called, and what it is known not to do.

An engine is a command line. The harness imports none of them: it passes a backup and a DSN, reads
an exit code, and counts the rows in the database.
"""

from __future__ import annotations

import os
import re
import shlex
import string
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.model.errors import InputError
from harness.model.record import FLOOR, OLDER_REFERENCE, REFERENCE, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.model.manifest import Manifest

ROOT = Path(__file__).resolve().parents[2]  # what ``import restore`` must find: this checkout

PLACEHOLDERS = ("backup", "dsn", "report", "rejects", "jobs")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,39}")


@dataclass(frozen=True, slots=True)
class Limitation:
    """A kind of dataset that an engine is known not to restore, how it ends, and why.

    The conformance suite asserts that it still ends so: a limitation that is gone must be struck
    out here. ``key`` is the field of the manifest, ``value`` what it holds. An engine that does not
    even start on such a dataset is not tried on it (``skip``).
    """

    key: str
    value: str
    status: Status
    why: str
    skip: bool = False

    def applies(self, manifest: Manifest) -> bool:
        """Return whether a dataset is of this kind."""
        return str(getattr(manifest, self.key)) == self.value


@dataclass(frozen=True, slots=True)
class Engine:
    """A way to restore. ``template`` may hold ``{backup} {dsn} {report} {rejects} {jobs}``.

    An engine with ``{floor}`` takes the encoded dataset (``floor/``) in place of the backup.
    ``given`` is what the user wrote, for one of their own.
    ``keeps_rejects`` engines write the records that they could not restore to the folder
    ``{rejects}`` and exit with 3 if there are any; both are then part of a right result.
    ``exit_codes`` are those after which the result is judged; all others are errors. ``version``
    and ``settings`` are recorded of a configured engine (``configured.py``).
    """

    name: str
    template: tuple[str, ...]
    keeps_rejects: bool = False
    limitations: tuple[Limitation, ...] = ()
    given: str | None = None
    exit_codes: tuple[int, ...] = (0, 3)
    version: str | None = None
    settings: str | None = None

    @property
    def is_fake(self) -> bool:
        """Return whether it only reports figures, and needs no server (``fake.py``)."""
        return not self.template

    @property
    def needs_encoded(self) -> bool:
        """Return whether it takes the encoded dataset, which has to be made first."""
        return any("{floor}" in part for part in self.template)

    def argv(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return the command line with its placeholders filled in."""
        return tuple(part.format_map(values) for part in self.template)

    def limitation(self, manifest: Manifest) -> Limitation | None:
        """Return what the engine is known not to do with a dataset, if anything."""
        return next((known for known in self.limitations if known.applies(manifest)), None)


def module(name: str) -> tuple[str, ...]:
    """Return how a module of this checkout is run; ``-P`` shuts out one in the current folder."""
    return sys.executable, "-P", "-m", name


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
            *("{floor}", "--dsn={dsn}", "--report={report}", "--jobs={jobs}"),
        ),
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
    """Return the engine of that name, of the table or of ``commands``.

    Raises:
        InputError: there is none.
    """
    known = {engine.name: engine for engine in (*ENGINES, *commands)}
    if name not in known:
        raise InputError(
            f"no engine is called {name!r}; there are {', '.join(known)}, and your own with "
            "--engine-command 'NAME=COMMAND {backup} {dsn}' or [tool.harness.engine.NAME] in "
            "pyproject.toml"
        )
    return known[name]


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
    if name in {engine.name for engine in ENGINES}:
        raise InputError(f"--engine-command {name!r}: an engine of that name exists; take another")
    try:
        template = template_of(shlex.split(line), place)
    except ValueError as error:
        raise InputError(f"{place}: {error}") from error
    keeps_rejects = any("{rejects}" in part for part in template)
    return Engine(name, template, keeps_rejects=keeps_rejects, given=text)


def check_name(name: str, place: str) -> None:
    """Check the name of an engine.

    Raises:
        InputError: it cannot be one; the message begins with ``place``.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{place}: expected a NAME of letters, digits and - . _ +, 40 at most")


def template_of(words: Sequence[str], place: str) -> tuple[str, ...]:
    """Return the words of a command line with placeholders.

    Raises:
        InputError: a placeholder is missing or unknown; the message begins with ``place``.
        ValueError: a brace stands alone.
    """
    fields = {field for word in words for _, field, _, _ in string.Formatter().parse(word)}
    unknown = fields - {None, *PLACEHOLDERS}
    if unknown or not {"backup", "dsn"} <= fields:
        raise InputError(
            f"{place}: it must hold {{backup}} and {{dsn}}, and may hold "
            "{report}, {rejects} and {jobs}, nothing else in braces; write {{ for a brace"
        )
    return tuple(words)
