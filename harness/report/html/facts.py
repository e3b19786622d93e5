"""The environment and the settings of a run as lists of names and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.blocks import Column, Grid
from harness.report.run import when
from harness.report.units import NONE, count, gigabytes, megabytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model.record import Dataset, Run

# Damage alone makes more.
_MOST_ROWS = 300


def environment(run: Run) -> tuple[tuple[str, str], ...]:
    """Return the facts on which the figures of a run depend most."""
    machine, server, dataset = run.environment, run.server, run.dataset
    commit = NONE if machine.commit is None else machine.commit[:12]
    image = "" if server.image is None else f", image {server.image}"
    return (
        ("Made", f"{when(run)} UTC{'' if run.finished_at else ', unfinished'}"),
        ("Commit", f"{commit}{' with changes' if machine.dirty else ''} ({machine.source})"),
        ("Machine", f"{machine.cores} cores of {machine.cpu}, {gigabytes(machine.memory_bytes)}"),
        ("System", f"{machine.os}, {machine.python}"),
        (
            "Server",
            f"PostgreSQL {server.version}, {server.kind}, settings {server.profile_name}{image}",
        ),
        ("Dataset", _dataset(dataset)),
    )


def _dataset(of: Dataset) -> str:
    return (
        f"{of.scenario}: {count(of.rows)} rows, {count(of.records)} records, "
        f"{megabytes(of.json_bytes)} of JSON, {of.style}, compression {of.compress}, "
        f"seed {of.seed}, generator {of.generator}"
    )


def settings(run: Run) -> Grid:
    """Lay out the server's settings, the run's parameters and the installed packages."""
    kinds: dict[str, Mapping[str, object]] = {
        "parameter": run.parameters,
        "server": run.server.settings,
        "package": run.environment.packages,
    }
    rows = [
        ((name,), (kind,), (_value(value),))
        for kind, named in kinds.items()
        for name, value in named.items()
    ]
    columns = (Column("name", "left"), Column("of", "left"), Column("value", "left", wrap=True))
    return Grid(columns, tuple(rows[:_MOST_ROWS]))


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or NONE
    return NONE if value is None else str(value)
