"""Two runs beside each other: what changed, and whether that can be told at all.

Pure: records in, verdicts out; no file, no clock, no output.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.figures import EngineFigures, RunFigures, figures
from harness.analysis.stats import Ratio, ratio
from harness.model.record import FLOOR, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model.record import Dataset, Environment, Run, Server


class Basis(enum.Enum):
    """Which times may be compared between two runs."""

    TIMES = "times"
    RATIOS = "ratios"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two runs differ, apart from their figures."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """One engine in two runs.

    ``time`` is after over before: of the median times or, where only ratios may be compared, of
    the times relative to the reference. ``memory`` is after over before of the peaks, ``vs_floor``
    of the multiples of each run's floor.
    """

    engine: str
    before: EngineFigures | None
    after: EngineFigures | None
    time: Ratio | None
    memory: Ratio | None
    vs_floor: Ratio | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs beside each other, and on what basis."""

    before: RunFigures
    after: RunFigures
    basis: Basis
    differences: tuple[Difference, ...]
    changes: tuple[Change, ...]


def compare(before: Run, after: Run, reference: str = REFERENCE) -> Comparison:
    """Lay two runs side by side, comparing only what bears it.

    On different datasets nothing is compared. On different machines or servers, times are compared
    only as ratios to ``reference`` within each run; peak memory, which is the engine's own, as it
    is.
    """
    basis = _basis(before, after)
    old, new = figures(before, reference), figures(after, reference)
    engines = dict.fromkeys(each.engine for each in (*old.engines, *new.engines))
    return Comparison(
        before=old,
        after=new,
        basis=basis,
        differences=_differences(before, after),
        changes=tuple(_change(engine, old, new, basis) for engine in engines),
    )


def _basis(before: Run, after: Run) -> Basis:
    if before.dataset != after.dataset:
        return Basis.NOTHING
    return Basis.TIMES if same_machine(before, after) else Basis.RATIOS


def same_machine(before: Run, after: Run) -> bool:
    """Say whether two runs were made on the same machine and server, so that times compare."""
    return (_machine(before.environment), _server(before.server)) == (
        _machine(after.environment),
        _server(after.server),
    )


def _change(engine: str, before: RunFigures, after: RunFigures, basis: Basis) -> Change:
    """Compare one engine's figures as far as ``basis`` allows."""
    old, new = before.engine(engine), after.engine(engine)
    if basis is Basis.NOTHING:
        return Change(engine, old, new, time=None, memory=None, vs_floor=None)
    old_samples, new_samples = before.samples(engine), after.samples(engine)
    if basis is Basis.TIMES:
        time = ratio(new_samples.walls_s, old_samples.walls_s)
    else:
        time = _multiples_ratio(before, after, engine, before.reference)
    memory = ratio(new_samples.peaks_bytes, old_samples.peaks_bytes)
    vs_floor = _multiples_ratio(before, after, engine, FLOOR)
    return Change(engine, old, new, time=time, memory=memory, vs_floor=vs_floor)


def _multiples_ratio(
    before: RunFigures, after: RunFigures, engine: str, reference: str | None
) -> Ratio | None:
    """Return how an engine's time, as a multiple of the reference's in its run, has changed."""
    if reference is None or engine == reference:
        return None
    return ratio(after.multiples(engine, reference), before.multiples(engine, reference))


def _differences(before: Run, after: Run) -> tuple[Difference, ...]:
    """Name all in which the runs differ: what they measured, on what, with which code."""
    old, new = before.environment, after.environment
    return (
        *_mapping_differences("dataset", _dataset(before.dataset), _dataset(after.dataset)),
        *_mapping_differences("machine", _machine(old), _machine(new)),
        *_mapping_differences("server", _server(before.server), _server(after.server)),
        *_mapping_differences("software", _software(old), _software(new)),
        *_mapping_differences("parameter", before.parameters, after.parameters),
    )


def _mapping_differences(
    kind: str, before: Mapping[str, object], after: Mapping[str, object]
) -> tuple[Difference, ...]:
    """Return what differs between two mappings, each under its kind and name."""
    names = dict.fromkeys((*before, *after))
    return tuple(
        Difference(f"{kind}: {name}", _text(before.get(name)), _text(after.get(name)))
        for name in names
        if before.get(name) != after.get(name)
    )


def _text(value: object) -> str:
    return "none" if value is None else str(value)


def _dataset(dataset: Dataset) -> dict[str, object]:
    return {name: getattr(dataset, name) for name in dataset.__struct_fields__}


def _machine(environment: Environment) -> dict[str, object]:
    """Return what makes times incomparable; the kernel's version moves total memory by a little."""
    return {
        "cpu": environment.cpu,
        "cores": environment.cores,
        "memory": f"{environment.memory_bytes / 1e9:.0f} GB",
    }


def _server(server: Server) -> dict[str, object]:
    """Return what makes a server another one; not why it was chosen."""
    return {
        "kind": server.kind,
        "version": server.version,
        "image": server.image_digest or server.image,
        **server.settings,
    }


def _software(environment: Environment) -> dict[str, object]:
    """Return what a comparison is often made for, so that it is named but forbids nothing."""
    dirty = " with changes" if environment.dirty else ""
    return {
        "os": environment.os,
        "python": environment.python,
        "commit": environment.commit and environment.commit[:8] + dirty,
        "source": environment.source,
        **environment.packages,
    }
