"""Compares two runs: differences, comparability, and changes of each engine.

Pure: records in, figures out; no file, no clock, no output.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.figures import EngineFigures, RunFigures, figures
from harness.model.record import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.analysis.stats import Summary
    from harness.model.record import Dataset, Environment, Run, Server


class Basis(enum.Enum):
    """What can be compared between two runs: times and memory, memory alone, or nothing."""

    TIMES = "times"
    MEMORY = "memory"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between two runs other than their figures."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """One engine in two runs: after over before, of the medians; None if not comparable."""

    engine: str
    before: EngineFigures | None
    after: EngineFigures | None
    time: float | None
    memory: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, their differences, and the changes on a common basis."""

    before: RunFigures
    after: RunFigures
    basis: Basis
    differences: tuple[Difference, ...]
    changes: tuple[Change, ...]


def compare(before: Run, after: Run, reference: str = REFERENCE) -> Comparison:
    """Compare two runs as far as they are comparable.

    On different datasets nothing is compared, on different machines or servers only peak memory,
    which is the engine's own. Times do not compare there, not even relative to ``reference`` within
    each run: that ratio varies between machines and days. A run is one observation, whatever
    its rounds, so the changes are described and not judged.
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
    return Basis.TIMES if same_machine(before, after) else Basis.MEMORY


def same_machine(before: Run, after: Run) -> bool:
    """Return whether two runs used the same machine and server, so that times compare.

    A relay that counts the traffic between engine and server makes it another server.
    """
    return (
        _machine(before.environment),
        _server(before.server),
        before.parameters.get("traffic"),
    ) == (_machine(after.environment), _server(after.server), after.parameters.get("traffic"))


def _change(engine: str, before: RunFigures, after: RunFigures, basis: Basis) -> Change:
    """Compare one engine's medians as far as ``basis`` allows."""
    old, new = before.engine(engine), after.engine(engine)
    time = memory = None
    if old is not None and new is not None:
        time = _ratio(new.wall_s, old.wall_s) if basis is Basis.TIMES else None
        memory = None if basis is Basis.NOTHING else _ratio(new.peak_bytes, old.peak_bytes)
    return Change(engine, old, new, time=time, memory=memory)


def _ratio(after: Summary | None, before: Summary | None) -> float | None:
    """Return the ratio of two medians."""
    if after is None or before is None or before.median <= 0:
        return None
    return after.median / before.median


def _differences(before: Run, after: Run) -> tuple[Difference, ...]:
    """Return all differences of dataset, machine, server, software and parameters."""
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
    """Return the differences between two mappings, named by kind and key."""
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
    """Return the facts that must be equal; memory is rounded, as the kernel changes it."""
    return {
        "cpu": environment.cpu,
        "cores": environment.cores,
        "memory": f"{environment.memory_bytes / 1e9:.0f} GB",
    }


def _server(server: Server) -> dict[str, object]:
    """Return the facts that identify a server, without the reason for its choice."""
    return {
        "kind": server.kind,
        "profile": server.profile_name,
        "version": server.version,
        "image": server.image_digest or server.image,
        **server.settings,
    }


def _software(environment: Environment) -> dict[str, object]:
    """Return the software, whose differences are reported but prevent no comparison."""
    dirty = " with changes" if environment.dirty else ""
    return {
        "os": environment.os,
        "python": environment.python,
        "commit": environment.commit and environment.commit[:8] + dirty,
        "source": environment.source,
        **environment.packages,
    }
