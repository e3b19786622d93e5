"""Reads a scenario from its folder: ``schema.sql`` and ``scenario.toml``."""

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
#: The folders of scenarios: of a checkout, and inside this package in a wheel.
SCENARIO_ROOTS = (_HERE.parent.parent / "datasets", _HERE / "scenarios")


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of a scenario. Its first column is its primary key."""

    name: str
    share: Annotated[float, msgspec.Meta(gt=0)]
    columns: Annotated[tuple[AnyColumn, ...], msgspec.Meta(min_length=1)]

    @property
    def key(self) -> UniqueColumn:
        """Return the primary key."""
        first = self.columns[0]
        if not isinstance(first, UniqueColumn):
            raise InputError(f"the first column of table {self.name} must be of a unique kind")
        return first


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The contents of ``scenario.toml``. ``epoch`` is the time of the backup."""

    description: str
    epoch: dt.datetime
    table: Annotated[tuple[Table, ...], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A schema and the shape of its data."""

    name: str
    folder: Path
    shape: Shape

    @property
    def tables(self) -> tuple[Table, ...]:
        """Return the tables, parents before children."""
        return self.shape.table

    @property
    def stamp(self) -> str:
        """Return the name of the backup's folder, derived from the epoch and so constant."""
        return self.shape.epoch.strftime("%Y%m%d_%H%M%S")

    def schema(self) -> str:
        """Return the SQL that creates the empty target."""
        return (self.folder / "schema.sql").read_text("utf-8")

    def fingerprint(self) -> str:
        """Return a hash of the scenario's files."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.glob("*.*")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()


def load_scenario(name: str) -> Scenario:
    """Find and read the scenario ``name``.

    Raises:
        InputError: The scenario is unknown, or its files are invalid.
    """
    known = scenarios()
    if name not in known:
        raise InputError(f"unknown scenario {name!r}; choose from {', '.join(sorted(known))}")
    path = known[name] / "scenario.toml"
    try:
        shape = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Shape)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} is invalid: {error}") from None
    scenario = Scenario(name=name, folder=known[name], shape=shape)
    _check(scenario)
    return scenario


def scenarios() -> dict[str, Path]:
    """Return every scenario's folder by its name."""
    folders = [path.parent for root in SCENARIO_ROOTS for path in root.glob("*/scenario.toml")]
    return {folder.name: folder for folder in reversed(folders)}


def _check(scenario: Scenario) -> None:
    """Check that references have a target, even in small datasets."""
    seen: set[str] = set()
    names = {table.name for table in scenario.tables}
    for table in scenario.tables:
        for column in table.columns:
            if not isinstance(column, Reference):
                continue
            place = f"scenario {scenario.name}: {table.name}.{column.name}"
            if column.to not in names:
                raise InputError(f"{place} refers to {column.to}, which is not one of its tables")
            if column.nulls is None and column.to not in seen:
                raise InputError(f"{place} must allow nulls, since {column.to} is not before it")
        seen.add(table.name)
