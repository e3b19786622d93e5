"""How an engine's time and memory grow with the size of the dataset, over several runs; pure."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.analysis.sessions import conditions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.analysis.figures import RunFigures
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


def by_size(runs: Iterable[RunFigures]) -> list[tuple[Conditions, tuple[RunFigures, ...]]]:
    """Group runs that differ in size alone, smallest first; only groups of several sizes."""
    groups: dict[Conditions, list[RunFigures]] = {}
    for each in runs:
        groups.setdefault(replace(conditions(each.run), rows=0), []).append(each)
    return [
        (key, tuple(sorted(group, key=lambda each: each.run.dataset.rows)))
        for key, group in groups.items()
        if len({each.run.dataset.rows for each in group}) > 1
    ]
