"""A scenario, read from its folder: ``schema.sql`` and ``scenario.toml``."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads the annotations
import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from harness.generate.column import UniqueColumn
from harness.generate.keys import Reference
from harness.generate.nested import AnyColumn  # noqa: TC001 - msgspec reads the annotations
from harness.model.errors import InputError

_HERE = Path(__file__).resolve().parent
#: In a checkout scenarios stand where people find them; in a wheel, inside this package.
SCENARIO_ROOTS = (_HERE.parent.parent / "datasets", _HERE / "scenarios")


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of a scenario. Its first column is its primary key."""

    name: str
    share: Annotated[float, msgspec.Meta(gt=0)]
    columns: Annotated[tuple[AnyColumn, ...], msgspec.Meta(min_length=1)]

    @property
    def key(self) -> UniqueColumn:
        """The primary key."""
        first = self.columns[0]
        if not isinstance(first, UniqueColumn):
            raise InputError(f"the first column of table {self.name} must be of a unique kind")
        return first


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``scenario.toml`` holds. ``epoch`` is the instant at which the backup was made."""

    description: str
    epoch: dt.datetime
    table: Annotated[tuple[Table, ...], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A schema and the shape of the data for it."""

    name: str
    folder: Path
    shape: Shape

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables, parents before children."""
        return self.shape.table

    @property
    def stamp(self) -> str:
        """The name of the backup's folder; from the epoch, so that it is always the same."""
        return self.shape.epoch.strftime("%Y%m%d_%H%M%S")

    def schema(self) -> str:
        """The SQL that makes the empty target."""
        return (self.folder / "schema.sql").read_text("utf-8")

    def fingerprint(self) -> str:
        """A hash of the scenario's files: other files, other datasets."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.glob("*.*")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()


def load_scenario(name: str) -> Scenario:
    """Find and read the scenario ``name``.

    Raises:
        InputError: There is no such scenario, or its files make no sense.
    """
    known = scenarios()
    if name not in known:
        raise InputError(f"there is no scenario {name!r}; there are: {', '.join(sorted(known))}")
    path = known[name] / "scenario.toml"
    try:
        shape = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Shape)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} makes no sense: {error}") from None
    scenario = Scenario(name=name, folder=known[name], shape=shape)
    _check(scenario)
    return scenario


def scenarios() -> dict[str, Path]:
    """Return every scenario's folder by its name."""
    folders = [path.parent for root in SCENARIO_ROOTS for path in root.glob("*/scenario.toml")]
    return {folder.name: folder for folder in reversed(folders)}


def _check(scenario: Scenario) -> None:
    """Refuse references to nowhere, and to records that a small dataset may not have."""
    seen: set[str] = set()
    names = {table.name for table in scenario.tables}
    for table in scenario.tables:
        for column in table.columns:
            if not isinstance(column, Reference):
                continue
            place = f"scenario {scenario.name}: {table.name}.{column.name}"
            if column.to not in names:
                raise InputError(f"{place} refers to {column.to}, which is no table of it")
            if column.nulls is None and column.to not in seen:
                raise InputError(f"{place} must allow nulls: {column.to} does not stand before it")
        seen.add(table.name)
