"""Lays out what the story of this project reported beside what was measured, size by size.

The project began with a team's naive ``db:restore`` and their rewrite of it in batches with
fallbacks. The rewrite is run as the peer ``prisma``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.figures import cpu_s
from harness.analysis.processor import cores_in_use
from harness.report import cells
from harness.report.blocks import Column, Grid
from harness.report.memory import sparkline
from harness.report.units import NONE, megabytes, rows_short, seconds, share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from harness.analysis.figures import RunFigures
    from harness.report.blocks import Block, Cell

# What the team reported of each way, by rows. Memory and processor time had no size.
NAIVE = {
    100_000: "3 min",
    1_000_000: "50 min",
    5_000_000: "timeout",
    10_000_000: "out of memory",
}
REWRITE = {100_000: "1 min", 1_000_000: "8 min", 5_000_000: "30 min", 10_000_000: "50 min"}
_REPORTED = {
    "peak memory": ("1.2-2 GB", "50-100 MB"),
    "processor": ("spiky", "steady, 50-70%"),
    "rows right under damage": (NONE, "99.9%"),
}
_NAIVE_ENGINES = ("legacy", "prisma")
_REWRITE_ENGINES = ("prisma-batches", "restore")
ENGINES = (*_NAIVE_ENGINES, *_REWRITE_ENGINES)

LEGEND = (
    "Time and peak memory: medians of the trials that are ok; else how the first one ended, and "
    "its memory, marked by *. "
    "Processor: time of the engine's own processes as a share of one core, and over time, in the "
    "trial with the median time. Traffic: sent to and received from the server, in a run of its "
    "own. Rows right under damage: of those that can be restored of a realistic dataset of that "
    "size, the share that is in the database as it should be."
)


def story_report(
    plain: Sequence[RunFigures], damaged: Sequence[RunFigures], traffic: Sequence[RunFigures]
) -> tuple[Block, ...]:
    """Lay out a row for each size and measure.

    Args:
        plain: the runs without faults, by size.
        damaged: those with `realistic` faults.
        traffic: those in which the traffic was counted.
    """
    columns = (
        *("rows", "measure", "naive, as reported", "`legacy`", "`prisma`"),
        *("rewrite, as reported", "`prisma-batches`", "`restore`"),
    )
    rows = [row for each in plain for row in _rows(each, damaged, traffic)]
    return Grid(tuple(Column(name, "left") for name in columns), tuple(rows)), LEGEND


def size_of(of: RunFigures) -> str:
    """Return the rows of a run, and its memory limit."""
    limit = of.run.parameters.get("memory_limit_bytes")
    rows = rows_short(of.run.dataset.rows)
    return f"{rows}, at most {megabytes(limit)}" if isinstance(limit, int) else rows


def _rows(
    plain: RunFigures, damaged: Sequence[RunFigures], traffic: Sequence[RunFigures]
) -> Iterator[tuple[Cell, ...]]:
    size = plain.run.dataset.rows
    measures: dict[str, tuple[Callable[[RunFigures, str], str], Iterable[RunFigures]]] = {
        "time": (_time, [plain]),
        "peak memory": (_peak, [plain]),
        "processor": (_processor, [plain]),
        "traffic": (_traffic, traffic),
        "rows right under damage": (_success, damaged),
    }
    for name, (measure, runs) in measures.items():
        run = next((each for each in runs if each.run.dataset.rows == size), None)
        naive, rewrite = _REPORTED.get(name, (NONE, NONE))
        if name == "time":
            naive, rewrite = NAIVE.get(size, NONE), REWRITE.get(size, NONE)
        measured = [NONE if run is None else measure(run, engine) for engine in ENGINES]
        if any(text != NONE for text in measured):
            words = (size_of(plain), name, naive, *measured[:2], rewrite, *measured[2:])
            yield tuple((text,) for text in words)


def _time(run: RunFigures, engine: str) -> str:
    found = run.engine(engine)
    if found is None or found.wall_s is None:
        return cells.failure(run, engine)
    return seconds(found.wall_s.median)


def _peak(run: RunFigures, engine: str) -> str:
    trial = run.samples(engine).shown
    found = run.engine(engine)
    if found is not None and found.peak_bytes is not None:
        return megabytes(found.peak_bytes.median)
    return NONE if trial is None or trial.peak_bytes is None else f"{megabytes(trial.peak_bytes)} *"


def _processor(run: RunFigures, engine: str) -> str:
    trial = run.samples(engine).shown
    used_s = None if trial is None else cpu_s(trial)
    if trial is None or used_s is None or not trial.wall_s:
        return NONE
    cores = () if trial.cpu_curve is None else cores_in_use(trial.cpu_curve)
    curve = f" {sparkline(cores, trial.wall_s)}" if cores else ""
    return f"{used_s / trial.wall_s:.0%}{curve}"


def _traffic(run: RunFigures, engine: str) -> str:
    trial = run.samples(engine).shown
    if trial is None or trial.sent_curve is None or trial.received_curve is None:
        return NONE
    curves = (trial.sent_curve.bytes, trial.received_curve.bytes)
    return " / ".join(megabytes(max(sizes, default=0)) for sizes in curves)


def _success(run: RunFigures, engine: str) -> str:
    found = run.engine(engine)
    return NONE if found is None else share(found.success)
