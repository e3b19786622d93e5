"""How an engine's time and memory grow with the size of the dataset, over several runs; pure."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.analysis.figures import engines
from harness.analysis.sessions import conditions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.analysis.figures import EngineFigures, RunFigures
    from harness.analysis.sessions import Conditions

# A slope this close to 1 is called linear, to 0 constant. Chosen, not measured: sessions differ by
# some percent, which over one decade of sizes moves a slope by some hundredths.
_CLOSE = 0.1


@dataclass(frozen=True, slots=True)
class Growth:
    """The exponent of a power law, fitted to medians: 1 is linear, 0 is constant."""

    slope: float

    @property
    def name(self) -> str:
        """Describe the growth in words."""
        if abs(self.slope) <= _CLOSE:
            return "constant"
        if abs(self.slope - 1) <= _CLOSE:
            return "linear"
        return "faster than linear" if self.slope > 1 else "slower than linear"


def growth(figure_by_rows: Mapping[int, Sequence[float]]) -> Growth | None:
    """Fit a power law to positive figures by least squares of logarithms.

    Args:
        figure_by_rows: the figures of each size. Fewer than two sizes have no slope.
    """
    points = [
        (math.log(rows), math.log(figure))
        for rows, figures in figure_by_rows.items()
        for figure in figures
        if rows > 0 and figure > 0
    ]
    if len({x for x, _ in points}) < 2:  # noqa: PLR2004 - a line needs two points
        return None
    xs, ys = zip(*points, strict=True)
    return Growth(statistics.linear_regression(xs, ys).slope)


@dataclass(frozen=True, slots=True)
class Scaling:
    """Runs that differ in size alone, the smallest first; ``conditions`` have no rows."""

    conditions: Conditions
    memory_limit_bytes: int | None
    runs: tuple[RunFigures, ...]

    @property
    def engines(self) -> list[str]:
        """Return the engines of all sizes, in the order of the runs."""
        return list(dict.fromkeys(name for each in self.runs for name in engines(each.run)))

    def figures_of(self, engine: str) -> tuple[EngineFigures | None, ...]:
        """Return the figures of an engine by size; None where it was not measured."""
        return tuple(each.engine(engine) for each in self.runs)

    def time_growth(self, engine: str) -> Growth | None:
        """Return how an engine's time grows; None if fewer than two sizes have one."""
        times = {
            each.run.dataset.rows: [of.wall_s.median]
            for each, of in zip(self.runs, self.figures_of(engine), strict=True)
            if of is not None and of.wall_s is not None
        }
        return growth(times)


def scalings(runs: Iterable[RunFigures]) -> tuple[Scaling, ...]:
    """Group runs that differ in size alone; of several of one size, the last one counts."""
    groups: dict[tuple[Conditions, int | None], dict[int, RunFigures]] = {}
    for each in runs:
        limit = each.run.parameters.get("memory_limit_bytes")
        key = replace(conditions(each.run), rows=0), limit if isinstance(limit, int) else None
        groups.setdefault(key, {})[each.run.dataset.rows] = each
    return tuple(
        Scaling(*key, tuple(by_rows[rows] for rows in sorted(by_rows)))
        for key, by_rows in groups.items()
    )
