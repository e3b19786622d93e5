"""What an engine is: how it is called, and what it is known not to do.

An engine is a command line. The harness imports none of them: it passes a backup and a DSN, reads
an exit code, and counts the rows in the database.
"""

from __future__ import annotations

import re
import string
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.model.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.model.manifest import Manifest
    from harness.model.record import Status

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

    An engine with ``{prepared}`` takes a folder in place of the backup, which the command
    ``prepare`` has written from a database in which the dataset was restored: it takes
    ``{dataset} {dsn} {out}``.
    ``prepare_version`` says what determines the folder's bytes beside the dataset.
    ``given`` is what the user wrote, for one of their own.
    ``keeps_rejects`` engines write the records that they could not restore to the folder
    ``{rejects}`` and exit with 3 if there are any; both are then part of a right result.
    ``exit_codes`` are those after which the result is judged; all others are errors. ``missing``
    says what it lacks on this machine, for which its trials are skipped. ``version`` is recorded of
    what is not code of this checkout; ``settings``, of a configured engine (``configured.py``).
    """

    name: str
    template: tuple[str, ...]
    keeps_rejects: bool = False
    limitations: tuple[Limitation, ...] = ()
    given: str | None = None
    exit_codes: tuple[int, ...] = (0, 3)
    version: str | None = None
    settings: str | None = None
    prepare: tuple[str, ...] = ()
    prepare_version: str = ""
    missing: str | None = None

    @property
    def is_fake(self) -> bool:
        """Return whether it only reports figures, and needs no server (``fake.py``)."""
        return not self.template

    def argv(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return the command line with its placeholders filled in."""
        return tuple(part.format_map(values) for part in self.template)

    def prepare_argv(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return the command line that prepares its input, with its placeholders filled in."""
        return tuple(part.format_map(values) for part in self.prepare)

    def limitation(self, manifest: Manifest) -> Limitation | None:
        """Return what the engine is known not to do with a dataset, if anything."""
        return next((known for known in self.limitations if known.applies(manifest)), None)

    def skipped_for(self, manifest: Manifest) -> str | None:
        """Return why it is not tried on a dataset, on this machine; None if it is."""
        if self.missing is not None:
            return self.missing
        known = self.limitation(manifest)
        return known.why if known is not None and known.skip else None


def module(name: str) -> tuple[str, ...]:
    """Return how a module of this checkout is run; ``-P`` shuts out one in the current folder."""
    return sys.executable, "-P", "-m", name


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
