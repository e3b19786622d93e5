"""How an engine's time grows with the number of rows."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.figures import engines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.analysis.figures import EngineFigures, RunFigures


@dataclass(frozen=True, slots=True)
class Conditions:
    """What runs must share, beside the machine, to be compared by size alone."""

    scenario: str
    faults: str
    server: str
    profile: str
    memory_limit_bytes: int | None


@dataclass(frozen=True, slots=True)
class Scaling:
    """Runs under the same conditions, one for each size, the smallest first."""

    conditions: Conditions
    runs: tuple[RunFigures, ...]

    @property
    def engines(self) -> list[str]:
        """Return the engines of all sizes, in the order of the runs."""
        return list(dict.fromkeys(name for each in self.runs for name in engines(each.run)))

    def of(self, engine: str) -> tuple[EngineFigures | None, ...]:
        """Return the figures of an engine by size; None where it was not measured."""
        return tuple(each.engine(engine) for each in self.runs)

    def exponent(self, engine: str) -> float | None:
        """Return the exponent of an engine's growth; None if fewer than two sizes have a time."""
        times = [
            (each.run.dataset.rows, of.wall_s.median)
            for each, of in zip(self.runs, self.of(engine), strict=True)
            if of is not None and of.wall_s is not None
        ]
        return exponent(times)


def scalings(runs: Iterable[RunFigures]) -> tuple[Scaling, ...]:
    """Group runs by their conditions; of several of one size, the last one counts."""
    groups: dict[Conditions, dict[int, RunFigures]] = {}
    for each in runs:
        groups.setdefault(_conditions(each), {})[each.run.dataset.rows] = each
    return tuple(
        Scaling(conditions, tuple(by_rows[rows] for rows in sorted(by_rows)))
        for conditions, by_rows in groups.items()
    )


def exponent(points: Sequence[tuple[int, float]]) -> float | None:
    """Return b of the least-squares fit of log(time) = a + b log(rows): 1 is linear growth.

    Args:
        points: rows and seconds, at least one of two different sizes, else None is returned.
    """
    if len({rows for rows, _ in points}) <= 1:
        return None
    logs = [(math.log(rows), math.log(seconds)) for rows, seconds in points]
    return statistics.linear_regression(*zip(*logs, strict=True)).slope


def _conditions(of: RunFigures) -> Conditions:
    run = of.run
    limit = run.parameters.get("memory_limit_bytes")
    return Conditions(
        scenario=run.dataset.scenario,
        faults=run.dataset.faults,
        server=f"PostgreSQL {run.server.version}, {run.server.kind}",
        profile=run.server.profile_name,
        memory_limit_bytes=limit if isinstance(limit, int) else None,
    )
