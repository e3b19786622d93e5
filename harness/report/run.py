"""Reports a run in full, and as a row of the history.

Figures become blocks of text and tables, which ``harness.report.blocks`` draws. Nothing is
measured, judged or printed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from harness.analysis.stats import CONFIDENCE
from harness.model.record import AS_IT_IS, FLOOR, Status
from harness.report import cells, reference_copy
from harness.report.blocks import Block, Bullets, Cell, Column, Grid
from harness.report.chaos import chaos_cell
from harness.report.heap import heap_report
from harness.report.memory import memory_report
from harness.report.noise import noise_report
from harness.report.reference_copy import engine_name
from harness.report.traffic import traffic_report
from harness.report.units import (
    NONE,
    count,
    factor,
    faster,
    gigabytes,
    megabytes,
    rate,
    share,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.analysis.figures import EngineFigures, RunFigures
    from harness.analysis.stats import Ratio
    from harness.model.record import Run, Server, TableResult, Trial

LEGEND = (
    "Time and peak RSS: median of the trials that are ok, lowest-highest below. Peak RSS is the "
    "kernel's high-water mark of one process, or the largest sampled memory of several, in which a "
    "shared page counts once. Success: rows restored of rows that can be restored, over "
    "all trials."
)

# The report lists so many wrong tables of a trial; its record has them all.
_TABLES_NAMED = 5


def bench_report(run_figures: RunFigures) -> tuple[Block, ...]:
    """Lay out a run: a headline, the table of engines, failures, and conclusions in sentences."""
    sentences = [sentence(each, run_figures.reference) for each in run_figures.engines]
    floor = run_figures.engine(FLOOR)
    if floor is not None and floor.attempted and floor.wall_s is None:
        sentences.append(f"The {reference_copy.NAME} has no time, so none is relative to it.")
    sentences.append(reference_copy.start_up(run_figures))
    if run_figures.run.finished_at is None:
        sentences.append("This run is unfinished; it holds the trials made so far.")
    text = " ".join(each for each in sentences if each)
    return (
        headline(run_figures.run),
        bench_grid(run_figures),
        f"{LEGEND} {reference_copy.LEGEND}" if _has_floors(run_figures) else LEGEND,
        *(
            (
                Bullets(
                    "Not ok:",
                    tuple(
                        f"{engine_name(each.engine)}, round {each.rounds}: {each.description}"
                        for each in alike_failures(run_figures.failures)
                    ),
                ),
            )
            if run_figures.failures
            else ()
        ),
        *memory_report(run_figures),
        *traffic_report(run_figures),
        *heap_report(run_figures.run),
        *noise_report(run_figures),
        *((text,) if text else ()),
    )


def headline(run: Run) -> str:
    """Summarize dataset, server and machine in a sentence."""
    dataset, server, machine = run.dataset, run.server, run.environment
    return (
        f"Run {run.id}, {when(run)} UTC: {count(dataset.rows)} rows of {dataset.scenario} "
        f"({megabytes(dataset.json_bytes)} of JSON, faults {dataset.faults}, seed {dataset.seed}) "
        f"into PostgreSQL {server.version} ({server.kind}, {_profile(server)}), on "
        f"{machine.cores} cores of "
        f"{machine.cpu} with {gigabytes(machine.memory_bytes)} of memory."
    )


def _profile(server: Server) -> str:
    """Describe how the server was configured."""
    name = server.profile_name
    return name if name == AS_IT_IS else f"profile {name}"


def when(run: Run) -> str:
    """Return when a run started, in UTC, to the minute."""
    return f"{datetime.fromisoformat(run.started_at):%Y-%m-%d %H:%M}"


def bench_grid(run_figures: RunFigures) -> Grid:
    """Lay out one row per engine: figures, their spread below, and ratios if there are any."""
    columns = [
        Column("engine", "left"),
        Column("ok"),
        Column("time"),
        Column("rows/s"),
        Column("peak RSS"),
        Column("success"),
    ]
    rows = [_bench_row(each) for each in run_figures.engines]
    if _has_floors(run_figures):
        columns.append(Column(reference_copy.COLUMN))
        rows = [
            (*row, (cells.vs_floor(each),))
            for row, each in zip(rows, run_figures.engines, strict=True)
        ]
    if any(_has_ratio(each) for each in run_figures.engines):
        columns.append(Column(f"vs {run_figures.reference}"))
        rows = [
            (*row, _vs_reference(each)) for row, each in zip(rows, run_figures.engines, strict=True)
        ]
    return Grid(tuple(columns), tuple(rows))


def history_report(runs: tuple[RunFigures, ...], older: int = 0) -> tuple[Block, ...]:
    """List runs, one row each; ``older`` is how many were left out."""
    columns = (
        Column("run", "left"),
        Column("dataset", "left"),
        Column("server", "left"),
        Column("engine, ok, time, success", "left"),
    )
    grid = Grid(columns, tuple(_history_row(each) for each in runs))
    if not older:
        return (grid,)
    return (grid, f"{count(older)} older runs not shown; --limit {older + len(runs)} lists all.")


def _bench_row(engine_figures: EngineFigures) -> tuple[Cell, ...]:
    return (
        (engine_name(engine_figures.engine),),
        (cells.trials(engine_figures),),
        cells.time(engine_figures),
        (NONE if engine_figures.rows_per_s is None else rate(engine_figures.rows_per_s),),
        cells.peak(engine_figures),
        (share(engine_figures.success),),
    )


def _has_floors(run_figures: RunFigures) -> bool:
    return any(cells.vs_floor(each) != NONE for each in run_figures.engines)


def _has_ratio(engine_figures: EngineFigures) -> bool:
    return not (
        engine_figures.speed is None
        and engine_figures.speed_at_least is None
        and engine_figures.memory is None
    )


def _vs_reference(engine_figures: EngineFigures) -> Cell:
    return (
        cells.speed(engine_figures),
        "" if engine_figures.memory is None else f"{factor(engine_figures.memory.value)} memory",
    )


def sentence(engine_figures: EngineFigures, reference: str | None) -> str:
    """Compare an engine with the reference in a sentence; empty if there is no ratio.

    Empty for the floor too, which cannot restore a backup.
    """
    engine, speed = engine_figures.engine, engine_figures.speed
    if engine == FLOOR:
        return ""
    ok, attempted = engine_figures.ok, engine_figures.attempted
    partly = "" if ok == attempted else f"In the {ok} of {attempted} trials that are ok, "
    if speed is not None:
        return f"{partly}{engine} was {_comparison(engine_figures, speed, reference)}."
    if engine_figures.speed_at_least is not None:
        at_least = faster(engine_figures.speed_at_least)
        return (
            f"{partly}{engine} was more than {at_least} than {reference}, "
            "which reached the time limit."
        )
    return ""


def _comparison(engine_figures: EngineFigures, speed: Ratio, reference: str | None) -> str:
    text = f"{faster(speed.value)} than {reference}"
    if engine_figures.memory is not None:
        text += f" with {factor(engine_figures.memory.value)} its peak memory"
    text += f", over {speed.rounds} round{'' if speed.rounds == 1 else 's'}"
    if speed.low is not None and speed.high is not None:
        ends = f"{factor(speed.low)} to {factor(speed.high)}"
        text += f" ({CONFIDENCE:.0%} interval of the ratio: {ends})"
    uncertainty = cells.uncertainty(speed)
    return f"{text}; {uncertainty}" if uncertainty else text


@dataclass(frozen=True, slots=True)
class Failure:
    """Trials of one engine that failed alike: their rounds, how, and all that is said of it."""

    engine: str
    status: Status
    rounds: str
    description: str


def alike_failures(trials: tuple[Trial, ...]) -> Iterator[Failure]:
    """Yield the trials that are not ok, equal failures together."""
    alike: dict[tuple[str, Status, str], list[str]] = {}
    for trial in trials:
        name = f"{trial.round} (warm-up)" if trial.warmup else str(trial.round)
        alike.setdefault((trial.engine, trial.status, _failure(trial)), []).append(name)
    for (engine, status, failure), rounds in alike.items():
        yield Failure(engine, status, ", ".join(rounds), failure)


def _failure(trial: Trial) -> str:
    """Describe how a trial failed, and how many rows each table lacks unless the detail does."""
    detail = "" if trial.detail is None else " ".join(trial.detail.split())
    if trial.status is Status.WRONG_RESULT and detail:
        return f"{trial.status.value}; {detail}"
    wrong = [text for table in trial.tables if (text := _wrong_table(table))]
    more = len(wrong) - _TABLES_NAMED
    named = [*wrong[:_TABLES_NAMED], f"{more} more tables" if more > 0 else ""]
    return "; ".join(part for part in (trial.status.value, detail, *named) if part)


def _wrong_table(table: TableResult) -> str:
    """Describe the gravest difference of a table; empty if there is none."""
    if table.error is not None:
        return f"{table.table}: {table.error}"
    if table.found != table.expected:
        return f"{table.table} has {count(table.found)} of {count(table.expected)} rows"
    if not table.checksum_match:
        return f"{table.table} has rows that differ"
    if table.rejects_match is False:
        return f"{table.table} has rejects that differ from the ground truth"
    return ""


def _history_row(run_figures: RunFigures) -> tuple[Cell, ...]:
    run = run_figures.run
    commit, dirty = run.environment.commit, run.environment.dirty
    return (
        (run.id, when(run), "" if run.finished_at else "unfinished"),
        (run.dataset.scenario, count(run.dataset.rows), f"faults {run.dataset.faults}"),
        (
            f"{run.server.kind} {run.server.version}",
            NONE if commit is None else commit[:8] + ("+" if dirty else ""),
        ),
        tuple(_history_lines(run_figures)) if run.chaos is None else chaos_cell(run.chaos),
    )


def _history_lines(run_figures: RunFigures) -> Iterator[str]:
    """Yield an aligned line for each engine, followed by the statuses of its failed trials."""
    width = max((len(each.engine) for each in run_figures.engines), default=0)
    for each in run_figures.engines:
        ok, (time, *_), success = cells.trials(each), cells.time(each), share(each.success)
        yield f"{each.engine:<{width}} {ok:>3} {time:>7} {success:>6}"
        failed = [trial.status for trial in run_figures.failures if trial.engine == each.engine]
        for status in dict.fromkeys(failed):
            yield f"{'':<{width}} {failed.count(status)} {status.value}"
