"""What a page shows of one run: charts, tables, failures, and how to repeat it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from harness.engines.ablation import STEPS
from harness.model.record import FLOOR
from harness.report.ablation import ablation_grid
from harness.report.blocks import Column, Grid
from harness.report.command import commands
from harness.report.html import measures, plots, strips
from harness.report.html.engines import is_step
from harness.report.html.facts import environment, settings
from harness.report.html.frontier import frontier_plot
from harness.report.memory import server_cells
from harness.report.noise import noise_report
from harness.report.reference_copy import engine_name
from harness.report.rejects import rejected
from harness.report.run import alike_failures, bench_grid, headline, sentence
from harness.report.units import NONE, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.analysis.figures import EngineFigures, RunFigures
    from harness.report.html.engines import Look
    from harness.report.html.plots import Plot
    from harness.report.html.strips import Chart
    from harness.report.rejects import Rejected
    from harness.report.run import Failure

Drawn = TypeVar("Drawn")

# A table of damage is no longer than this; the record has all of it.
_MOST_ROWS = 60


@dataclass(frozen=True, slots=True)
class RunView:
    """All that the templates show of a run; empty parts are left out.

    ``size``, ``profile`` and ``faults`` are what it can be filtered by. The looks belong to the
    rows of the table of that name.
    """

    id: str
    name: str
    size: str
    profile: str
    faults: str
    headline: str
    sentences: tuple[str, ...]
    trials: int
    charts: tuple[Chart, ...]
    grid: Grid
    looks: tuple[Look, ...]
    frontier: Plot | None
    curves: tuple[Plot, ...]
    cpu: Chart | None
    ratios: tuple[Chart, ...]
    ablation: Grid | None
    ablation_chart: Chart | None
    failures: Grid
    failure_looks: tuple[Look, ...]
    rejects: Grid | None
    reject_looks: tuple[Look, ...]
    noise: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    settings: Grid
    commands: tuple[str, ...]


def run_view(of: RunFigures, all_looks: Mapping[str, Look], name: str) -> RunView:
    """Lay out a run.

    Args:
        of: its figures.
        all_looks: how the engines of all runs look.
        name: what tells it from the other runs of the page.
    """
    run = of.run
    looks = {each.engine: all_looks[each.engine] for each in sorted(of.engines, key=_place)}
    steps = {step.engine: looks[step.engine] for step in STEPS if step.engine in looks}
    has_steps = any(map(is_step, looks))
    failed = tuple(alike_failures(of.failures))[:_MOST_ROWS]
    refused = rejected(of)[:_MOST_ROWS]
    curves = (plots.over_time(of, looks, course) for course in plots.COURSES)
    return RunView(
        id=run.id,
        name=name,
        size=count(run.dataset.rows),
        profile=run.server.profile_name,
        faults=run.dataset.faults,
        headline=headline(run),
        sentences=_sentences(of, looks),
        trials=sum(each.attempted for each in of.engines),
        charts=_present(strips.measured(of, measure, looks) for measure in measures.ALL),
        grid=_grid(of, looks),
        looks=tuple(looks.values()),
        frontier=frontier_plot(of, looks),
        curves=_present(curves),
        cpu=strips.measured(of, measures.CPU, looks),
        ratios=_present(_ratios(of, looks)),
        ablation=ablation_grid(of) if has_steps else None,
        ablation_chart=strips.measured(of, measures.TIME, steps) if has_steps else None,
        failures=_failures(failed),
        failure_looks=tuple(all_looks[each.engine] for each in failed),
        rejects=_rejects(refused) if refused else None,
        reject_looks=tuple(all_looks[each.engine] for each in refused),
        noise=tuple(item for block in noise_report(of) for item in block.items),
        environment=environment(run),
        settings=settings(run),
        commands=commands(run),
    )


def _place(figures: EngineFigures) -> tuple[bool, float]:
    """Return an engine's place in its run: the fastest first, the reference COPY last."""
    known = None if figures.wall_s is None else figures.wall_s.median
    time_s = known if known is not None else figures.at_least_s
    return (figures.engine == FLOOR, math.inf if time_s is None else time_s)


def _present(found: Iterable[Drawn | None]) -> tuple[Drawn, ...]:
    return tuple(each for each in found if each is not None)


def _sentences(of: RunFigures, looks: Mapping[str, Look]) -> tuple[str, ...]:
    """Compare each engine with the reference in a sentence."""
    figures = (of.engine(engine) for engine in looks)
    return tuple(text for each in figures if each and (text := sentence(each, of.reference)))


def _grid(of: RunFigures, looks: Mapping[str, Look]) -> Grid:
    """Lay out the table of the terminal, in the page's order, with the server's memory."""
    whole = bench_grid(of)
    rows = dict(zip((each.engine for each in of.engines), whole.rows, strict=True))
    return Grid(
        (*whole.columns, Column("server peak"), Column("with server")),
        tuple((*rows[engine], *server_cells(of.samples(engine))) for engine in looks),
    )


def _ratios(of: RunFigures, looks: Mapping[str, Look]) -> Iterator[Chart | None]:
    """Yield the times relative to the reference COPY, and the speeds relative to the reference."""
    known = {each.engine: each for each in of.engines}
    to_floor = {e: (known[e].vs_floor, known[e].vs_floor_at_least) for e in looks}
    yield strips.ratios(to_floor, looks, measures.VS_FLOOR)
    to_reference = {e: (known[e].speed, known[e].speed_at_least) for e in looks}
    yield strips.ratios(to_reference, looks, measures.speed_over(of.reference or NONE))


def _failures(failed: Sequence[Failure]) -> Grid:
    columns = (
        Column("engine", "left"),
        Column("status", "left"),
        Column("rounds", "left"),
        Column("what happened", "left", wrap=True),
    )
    rows = (
        (
            (engine_name(each.engine),),
            (strips.STATUS_NAMES[each.status],),
            (each.rounds,),
            (each.description.removeprefix(each.status.value).lstrip("; ") or NONE,),
        )
        for each in failed
    )
    return Grid(columns, tuple(rows))


def _rejects(refused: Sequence[Rejected]) -> Grid:
    columns = (
        Column("engine", "left"),
        Column("table", "left"),
        Column("records"),
        Column("SQLSTATE", "left"),
        Column("reason", "left", wrap=True),
    )
    rows = (
        (
            (engine_name(each.engine),),
            (each.table,),
            (count(each.count),),
            (each.sqlstate or NONE,),
            (each.reason,),
        )
        for each in refused
    )
    return Grid(columns, tuple(rows))
