"""What is said of a run after it was made, and of runs in the list of the history.

Figures become blocks of text and tables, for ``harness.report.blocks`` to draw. Nothing is measured
or judged here, and nothing printed.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from harness.analysis.stats import CONFIDENCE
from harness.model.record import FLOOR, Status
from harness.report import cells
from harness.report.blocks import Block, Bullets, Cell, Column, Grid
from harness.report.chaos import chaos_cell
from harness.report.heap import heap_report
from harness.report.memory import memory_report
from harness.report.noise import noise_report
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
    from harness.model.record import Run, TableResult, Trial

LEGEND = (
    "Time and peak memory: median of the trials that ended well (ok), lowest-highest beneath. "
    "Peak memory is resident (RSS): the kernel's high-water mark of one process, or the largest "
    "sampled sum over several, where a page that they share counts for each. "
    "Success: rows restored of rows that can be restored, over all trials."
)

FLOOR_LEGEND = "x floor: its time over that of floor, the least that these rows take here."

# Of the tables that a trial got wrong, so many are named here; its record has them all.
_TABLES_NAMED = 5


def bench_report(of: RunFigures) -> tuple[Block, ...]:
    """Say what a run found: a headline, the table, failures, and the point in plain sentences."""
    sentences = [_sentence(each, of.reference) for each in of.engines]
    floor = of.engine(FLOOR)
    if floor is not None and floor.attempted and floor.wall_s is None:
        sentences.append("The floor has no time, so nothing is told as a multiple of it.")
    if of.run.finished_at is None:
        sentences.append("This run was cut off; it holds the trials made until then.")
    said = " ".join(sentence for sentence in sentences if sentence)
    return (
        headline(of.run),
        bench_grid(of),
        f"{LEGEND} {FLOOR_LEGEND}" if _has_floors(of) else LEGEND,
        *((Bullets("Not ok:", tuple(_failures(of.failures))),) if of.failures else ()),
        *memory_report(of),
        *heap_report(of.run),
        *noise_report(of),
        *((said,) if said else ()),
    )


def headline(run: Run) -> str:
    """Say in a sentence what was restored, into what, on what."""
    dataset, server, machine = run.dataset, run.server, run.environment
    return (
        f"Run {run.id}, {when(run)} UTC: {count(dataset.rows)} rows of {dataset.scenario} "
        f"({megabytes(dataset.json_bytes)} of JSON, faults {dataset.faults}, seed {dataset.seed}) "
        f"into PostgreSQL {server.version} ({server.kind}), on {machine.cores} cores of "
        f"{machine.cpu} with {gigabytes(machine.memory_bytes)} of memory."
    )


def when(run: Run) -> str:
    """Return when a run started, in UTC, to the minute."""
    return f"{datetime.fromisoformat(run.started_at):%Y-%m-%d %H:%M}"


def bench_grid(of: RunFigures) -> Grid:
    """Lay out one row per engine: figures, their spread beneath, and ratios where there are any."""
    columns = [
        Column("engine", "left"),
        Column("ok"),
        Column("time"),
        Column("rows/s"),
        Column("peak memory"),
        Column("success"),
    ]
    rows = [_bench_row(each) for each in of.engines]
    if _has_floors(of):
        columns.append(Column("x floor"))
        rows = [(*row, (cells.vs_floor(each),)) for row, each in zip(rows, of.engines, strict=True)]
    if any(_has_ratio(each) for each in of.engines):
        columns.append(Column(f"beside {of.reference}"))
        rows = [(*row, _beside(each)) for row, each in zip(rows, of.engines, strict=True)]
    return Grid(tuple(columns), tuple(rows))


def history_report(runs: tuple[RunFigures, ...], older: int = 0) -> tuple[Block, ...]:
    """List runs, one row each; ``older`` ones were left out."""
    columns = (
        Column("run", "left"),
        Column("dataset", "left"),
        Column("server", "left"),
        Column("engine, ok, time, success", "left"),
    )
    grid = Grid(columns, tuple(_history_row(each) for each in runs))
    if not older:
        return (grid,)
    return (grid, f"{count(older)} older left out; --limit {older + len(runs)} lists all.")


def _bench_row(of: EngineFigures) -> tuple[Cell, ...]:
    return (
        (of.engine,),
        (cells.trials(of),),
        cells.time(of),
        (NONE if of.rows_per_s is None else rate(of.rows_per_s),),
        cells.peak(of),
        (share(of.success),),
    )


def _has_floors(of: RunFigures) -> bool:
    return any(cells.vs_floor(each) != NONE for each in of.engines)


def _has_ratio(of: EngineFigures) -> bool:
    return not (of.speed is None and of.speed_at_least is None and of.memory is None)


def _beside(of: EngineFigures) -> Cell:
    return (cells.speed(of), "" if of.memory is None else f"{factor(of.memory.value)} memory")


def _sentence(of: EngineFigures, reference: str | None) -> str:
    """Say in words how an engine stands beside the reference; nothing where it cannot be said.

    Nor of the floor, which is no way to restore a backup.
    """
    if of.engine == FLOOR:
        return ""
    partly = (
        ""
        if of.ok == of.attempted
        else f"In its {of.ok} of {of.attempted} trials that ended well, "
    )
    if of.speed is not None:
        return f"{partly}{of.engine} was {_beside_in_words(of, of.speed, reference)}."
    if of.speed_at_least is not None:
        return (
            f"{partly}{of.engine} was more than {faster(of.speed_at_least)} than {reference}, "
            "which ran into the time limit."
        )
    return ""


def _beside_in_words(of: EngineFigures, speed: Ratio, reference: str | None) -> str:
    said = f"{faster(speed.value)} than {reference}"
    if of.memory is not None:
        said += f" with {factor(of.memory.value)} its peak memory"
    said += f", over {speed.rounds} round{'' if speed.rounds == 1 else 's'}"
    if speed.low is not None and speed.high is not None:
        ends = f"{factor(speed.low)} to {factor(speed.high)}"
        said += f" ({CONFIDENCE:.0%} interval of the ratio of times: {ends})"
    doubt = cells.doubt(speed)
    return f"{said}; {doubt}" if doubt else said


def _failures(trials: tuple[Trial, ...]) -> Iterator[str]:
    """List the trials that are not ok, those that failed alike on one line."""
    alike: dict[tuple[str, str], list[str]] = {}
    for trial in trials:
        name = f"{trial.round} (warm-up)" if trial.warmup else str(trial.round)
        alike.setdefault((trial.engine, _failure(trial)), []).append(name)
    for (engine, failure), rounds in alike.items():
        yield f"{engine}, round {', '.join(rounds)}: {failure}"


def _failure(trial: Trial) -> str:
    """Say how a trial failed, and how many rows each table lacks, if its detail does not."""
    detail = "" if trial.detail is None else " ".join(trial.detail.split())
    if trial.status is Status.WRONG_RESULT and detail:
        return f"{trial.status.value}; {detail}"
    wrong = [said for table in trial.tables if (said := _wrong_table(table))]
    more = len(wrong) - _TABLES_NAMED
    named = [*wrong[:_TABLES_NAMED], f"{more} tables more" if more > 0 else ""]
    return "; ".join(part for part in (trial.status.value, detail, *named) if part)


def _wrong_table(table: TableResult) -> str:
    """Say what is wrong with a table, the gravest first; nothing if it is as it should be."""
    if table.error is not None:
        return f"{table.table}: {table.error}"
    if table.found != table.expected:
        return f"{table.table} has {count(table.found)} of {count(table.expected)} rows"
    if not table.checksum_match:
        return f"{table.table} has rows that differ"
    if table.rejects_match is False:
        return f"{table.table} has other rejects than it should"
    return ""


def _history_row(of: RunFigures) -> tuple[Cell, ...]:
    run = of.run
    commit, dirty = run.environment.commit, run.environment.dirty
    return (
        (run.id, when(run), "" if run.finished_at else "cut off"),
        (run.dataset.scenario, count(run.dataset.rows), f"faults {run.dataset.faults}"),
        (
            f"{run.server.kind} {run.server.version}",
            NONE if commit is None else commit[:8] + ("+" if dirty else ""),
        ),
        tuple(_history_lines(of)) if run.chaos is None else chaos_cell(run.chaos),
    )


def _history_lines(of: RunFigures) -> Iterator[str]:
    """Say of each engine how it did, in aligned lines, and beneath how its trials failed."""
    width = max((len(each.engine) for each in of.engines), default=0)
    for each in of.engines:
        ok, (time, *_), success = cells.trials(each), cells.time(each), share(each.success)
        yield f"{each.engine:<{width}} {ok:>3} {time:>7} {success:>6}"
        failed = [trial.status for trial in of.failures if trial.engine == each.engine]
        for status in dict.fromkeys(failed):
            yield f"{'':<{width}} {failed.count(status)} {status.value}"
