"""One or more runs as a page: the verdict, charts, tables, failures, and how to repeat them.

All figures come from ``harness.analysis`` and the blocks of the other reports; this only decides
what stands where.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.analysis.figures import figures
from harness.analysis.scaling import scalings
from harness.analysis.sessions import machine
from harness.analysis.stats import CONFIDENCE
from harness.model.record import FLOOR, REFERENCE
from harness.report import ablation, cells, reference_copy
from harness.report.blocks import Column, Grid
from harness.report.html import measures
from harness.report.html.engines import FIRST, looks
from harness.report.html.growth import growth_plot
from harness.report.html.page import render
from harness.report.html.run_view import run_view
from harness.report.html.strips import counted
from harness.report.run import LEGEND, sentence, when
from harness.report.units import NONE, count, factor, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.analysis.figures import EngineFigures, RunFigures
    from harness.analysis.scaling import Scaling
    from harness.model.record import Run
    from harness.report.html.engines import Look
    from harness.report.html.plots import Plot
    from harness.report.html.run_view import RunView

# More would not be read, and would make a page of more than 2 MB.
MAX_RUNS = 20
# Beyond this ratio of the slowest time to the fastest, half of the engines share a tenth of a
# linear axis.
_WIDE = 30


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure in large type."""

    name: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A value to filter by; ``color`` is an engine's."""

    value: str
    name: str
    color: int | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """What can be filtered by: the kind as the script knows it, its heading, its values."""

    kind: str
    title: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that differ in size alone: their growth as charts and as a table."""

    name: str
    plots: tuple[Plot, ...]
    grid: Grid
    looks: tuple[Look, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """All that the templates show."""

    title: str
    verdict: str
    tiles: tuple[Tile, ...]
    runs: tuple[RunView, ...]
    filters: tuple[Filter, ...]
    groups: tuple[Group, ...]
    legend: str
    interval: str
    reference_note: str
    ablation_legend: str
    logarithmic: bool


def run_page(runs: Sequence[Run]) -> str:
    """Lay out the page.

    Args:
        runs: runs of trials, at least one and at most ``MAX_RUNS``.
    """
    found = sorted(map(figures, runs), key=lambda each: (each.run.dataset.rows, when(each.run)))
    all_looks = looks(each.engine for of in found for each in of.engines)
    names = _names(found)
    views = tuple(run_view(of, all_looks, names[of.run.id]) for of in found)
    main, verdict = found[-1], _verdict(found[-1])
    said = tuple(each for each in views[-1].sentences if each not in verdict)
    page = Page(
        title=_title(found),
        verdict=f"{names[main.run.id]}: {verdict}" if len(found) > 1 else verdict,
        tiles=tuple(_tiles(main)),
        runs=(*views[:-1], replace(views[-1], sentences=said)),
        filters=tuple(_filters(views, all_looks)),
        groups=tuple(_group(each, all_looks) for each in scalings(found) if len(each.runs) > 1),
        legend=f"{LEGEND} {reference_copy.LEGEND}" if FLOOR in all_looks else LEGEND,
        interval=f"{CONFIDENCE:.0%}",
        reference_note=_start_up(main),
        ablation_legend=ablation.LEGEND,
        logarithmic=any(map(_is_wide, found)),
    )
    return render("run", page=page)


def _is_wide(of: RunFigures) -> bool:
    """Return whether a linear axis of a run's times would show most engines as alike."""
    times = [each.wall_s.median for each in of.engines if each.wall_s is not None]
    return bool(times) and max(times) > _WIDE * min(times)


def _title(found: Sequence[RunFigures]) -> str:
    if len(found) == 1:
        run = found[0].run
        return f"Run {run.id}, {when(run)} UTC, of {count(run.dataset.rows)} rows"
    days = sorted(when(each.run)[:10] for each in found)
    span = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    return f"{len(found)} runs, {span}"


def _names(found: Sequence[RunFigures]) -> dict[str, str]:
    """Name each run by its rows and what else differs; by its id, if nothing does."""
    facts = {of.run.id: _conditions(of.run) for of in found}
    differing = [
        place
        for place, values in enumerate(zip(*facts.values(), strict=True))
        if place == 0 or len(set(values)) > 1
    ]
    names = {id_: ", ".join(each[place] for place in differing) for id_, each in facts.items()}
    counts = Counter(names.values())
    return {id_: f"{name}, run {id_}" if counts[name] > 1 else name for id_, name in names.items()}


def _conditions(run: Run) -> tuple[str, ...]:
    """Return what a run can be named by, the rows first."""
    dataset = run.dataset
    return (
        f"{count(dataset.rows)} rows",
        dataset.scenario,
        "no faults" if dataset.faults == "none" else f"{dataset.faults} faults",
        f"{run.server.kind} server",
        f"settings {run.server.profile_name}",
        f"--jobs {run.parameters.get('jobs') or 1}",
        machine(run.environment),
    )


def _verdict(of: RunFigures) -> str:
    """Say in a sentence or two what the run found, and whether it can be relied on."""
    chosen = of.engine(FIRST) or next((e for e in of.engines if e.engine != REFERENCE), None)
    said = "" if chosen is None else sentence(chosen, of.reference)
    failed = counted(trial for trial in of.failures if not trial.warmup)
    whole = f"Not all trials are ok: {', '.join(failed)}." if failed else "All trials are ok."
    return f"{said or _alone(of, chosen)} {whole}"


def _alone(of: RunFigures, chosen: EngineFigures | None) -> str:
    """Describe an engine that cannot be compared with the reference."""
    if chosen is None:
        return "No engine is compared with another."
    rows = f"{count(of.run.dataset.rows)} rows"
    if chosen.wall_s is None:
        return f"{chosen.engine} has no time for {rows}."
    text = f"{chosen.engine} restored {rows} in {cells.time(chosen)[0]}"
    if chosen.peak_bytes is not None:
        text += f" with {cells.peak(chosen)[0]} of peak memory"
    failed = counted(of.samples(REFERENCE).trials)
    return f"{text}; {REFERENCE} has no time to compare it with ({', '.join(failed) or 'not run'})."


def _tiles(of: RunFigures) -> Iterator[Tile]:
    """Yield the figures of the engine that the page is about."""
    mine = of.engine(FIRST)
    if mine is None:
        return
    if mine.wall_s is not None or mine.at_least_s is not None:
        yield Tile(f"Time of {FIRST}", cells.time(mine)[0], f"{count(of.run.dataset.rows)} rows")
    if mine.speed is not None or mine.speed_at_least is not None:
        yield Tile("Speed", cells.speed(mine), f"than {of.reference}")
    if mine.memory is not None:
        yield Tile(
            "Peak memory", factor(mine.memory.value), f"of {of.reference}'s: {cells.peak(mine)[0]}"
        )
    if mine.vs_floor is not None or mine.vs_floor_at_least is not None:
        yield Tile("Relative time", cells.vs_floor(mine), f"of a {reference_copy.NAME}")
    yield Tile("Rows restored", share(mine.success), f"{cells.trials(mine)} trials ok")


def _start_up(of: RunFigures) -> str:
    text = reference_copy.start_up(of) if of.engine(FLOOR) is not None else ""
    return f" {text}" if text else ""


def _filters(views: Sequence[RunView], all_looks: Mapping[str, Look]) -> Iterator[Filter]:
    """Yield what the runs differ in; the engines if there are several."""
    engines = tuple(Choice(look.engine, look.name, look.color) for look in all_looks.values())
    if len(engines) > 1:
        yield Filter("engine", "Engines", engines)
    for kind, title, values in (
        ("size", "Rows", (view.size for view in views)),
        ("profile", "Server settings", (view.profile for view in views)),
        ("faults", "Faults", (view.faults for view in views)),
    ):
        choices = _choices(values)
        if len(choices) > 1:
            yield Filter(kind, title, choices)


def _choices(values: Iterable[str]) -> tuple[Choice, ...]:
    return tuple(Choice(value, value) for value in dict.fromkeys(values))


def _group(of: Scaling, all_looks: Mapping[str, Look]) -> Group:
    """Draw how time and memory grow over runs that differ in size alone."""
    key, group = of.conditions, of.runs
    drawn = [
        plot
        for measure in (measures.TIME, measures.MEMORY)
        if (plot := growth_plot(group, measure, all_looks)) is not None
    ]
    faults = "no faults" if key.faults == "none" else f"{key.faults} faults"
    name = f"{key.scenario}, {faults}, {key.server}, settings {key.profile}, --jobs {key.jobs}"
    shown = tuple(
        look
        for look in all_looks.values()
        if any(line.look is look for plot in drawn for line in plot.lines)
    )
    return Group(name, tuple(drawn), _growth_table(group, shown, drawn), shown)


def _growth_table(
    group: Sequence[RunFigures], shown: Sequence[Look], drawn: Sequence[Plot]
) -> Grid:
    """Lay out the medians of each size, and how they grow."""
    sizes = [measures.short(of.run.dataset.rows) for of in group]
    columns = (
        Column("engine", "left"),
        *(Column(f"time, {size}") for size in sizes),
        *(Column(f"peak RSS, {size}") for size in sizes),
        *(Column(f"{plot.title.lower()} grows as", "left") for plot in drawn),
    )
    rows = tuple(
        (
            (look.name,),
            *(cells.time(of.engine(look.engine))[:1] for of in group),
            *(cells.peak(of.engine(look.engine))[:1] for of in group),
            *((_note(look, plot),) for plot in drawn),
        )
        for look in shown
    )
    return Grid(columns, rows)


def _note(look: Look, plot: Plot) -> str:
    return next((line.note for line in plot.lines if line.look is look), "") or NONE
