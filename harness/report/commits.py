"""Reports the comparison of two commits: tables and sentences, and the same as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.analysis.commits import BASE, FIGURES, HEAD, Measure
from harness.analysis.figures import figures, in_rounds
from harness.analysis.stats import CONFIDENCE, summarize
from harness.analysis.verdicts import more_rounds
from harness.report.blocks import Block, Bullets, Column, Grid
from harness.report.data import SCHEMA_VERSION
from harness.report.noise import noise_report
from harness.report.run import bench_grid, headline
from harness.report.units import NONE, count, megabytes, short_time

if TYPE_CHECKING:
    from harness.analysis.commits import CommitsJudgement, Loss
    from harness.analysis.sequential import Change
    from harness.analysis.stats import Summary
    from harness.model.record import Run

LEGEND = (
    "Before and after: medians of the rounds in which both are ok. Change: estimated from the "
    f"ratios of the rounds (Hodges-Lehmann), with its {CONFIDENCE:.0%} interval; p: signed-rank "
    "permutation test, adjusted for the number of measures (Holm)."
)


def commits_report(
    run: Run, judgement: CommitsJudgement, titles: tuple[str, str], warnings: tuple[str, ...]
) -> tuple[Block, ...]:
    """Lay out the judgement on two commits.

    Args:
        run: the run of both.
        judgement: the judgement on it.
        titles: what was before, and what is after.
        warnings: what the reader has to know of the two.
    """
    blocks: list[Block] = [headline(run), f"Before: {titles[0]}. After: {titles[1]}."]
    if judgement.changes:
        blocks += [_grid(run, judgement), LEGEND]
    if judgement.losses:
        blocks.append(Bullets("Less complete:", tuple(map(_loss, judgement.losses))))
    if judgement.failed:
        blocks.append(
            Bullets("Not compared, since no round of both is ok:", tuple(judgement.failed))
        )
    if warnings:
        blocks.append(Bullets("Warnings:", warnings))
    run_figures = figures(run, reference=None)
    return (*blocks, bench_grid(run_figures), *noise_report(run_figures), conclusion(judgement))


def conclusion(judgement: CommitsJudgement) -> str:
    """Conclude in a sentence or two."""
    rounds = f"after {judgement.rounds} of at most {judgement.plan.max_rounds} rounds"
    if judgement.is_worse:
        what = [
            *dict.fromkeys(f"{loss.engine} is less complete" for loss in judgement.losses),
            *(f"{engine} needs more {measure.value}" for engine, measure in judgement.worse),
        ]
        return f"Worse, {rounds}: {', '.join(what)}."
    names = ", ".join(_inconclusive(judgement, *key) for key in judgement.inconclusive)
    open_ = f" Inconclusive: {names}." if names else ""
    if judgement.failed:
        return f"Not everything could be compared, {rounds}.{open_}"
    return f"No regression found, {rounds}.{open_}"


def _inconclusive(judgement: CommitsJudgement, engine: str, measure: Measure) -> str:
    """Name a measure, and how many more rounds may settle it."""
    change = judgement.changes[engine, measure]
    more = None if change.ratio is None else more_rounds(change.ratio, change.limit)
    advice = "" if more is None else f" ({more} more round{'s' * (more > 1)} may settle it)"
    return f"{engine} {measure.value}{advice}"


def commits_data(
    run: Run, judgement: CommitsJudgement, titles: tuple[str, str], warnings: tuple[str, ...]
) -> dict[str, Any]:
    """Return the judgement as data (``docs/interfaces.md``); arguments as ``commits_report``."""
    return {
        "kind": "compare-commits",
        "schema": SCHEMA_VERSION,
        "run": run.id,
        "base": titles[0],
        "head": titles[1],
        "worse": judgement.is_worse,
        "finished": run.finished_at is not None,
        "rounds": judgement.rounds,
        "looks": list(judgement.plan.looks),
        "false_alarms": judgement.plan.false_alarms,
        "measures": [
            {
                "engine": engine,
                "measure": measure.value,
                "before": None if old is None else old.median,
                "after": None if new is None else new.median,
                "ratio": change.ratio and change.ratio.value,
                "low": change.ratio and change.ratio.low,
                "high": change.ratio and change.ratio.high,
                "rounds": 0 if change.ratio is None else change.ratio.rounds,
                "p": change.p,
                "limit": change.limit,
                "verdict": change.verdict.value,
            }
            for (engine, measure), change in judgement.changes.items()
            for old, new in (_medians(run, judgement, engine, measure),)
        ],
        "losses": [
            {
                "engine": loss.engine,
                "round": loss.round,
                "warmup": loss.is_warmup,
                "before": {"status": loss.before.status.value, "restored": loss.before.restored},
                "after": {"status": loss.after.status.value, "restored": loss.after.restored},
                "detail": loss.after.detail,
            }
            for loss in judgement.losses
        ],
        "not_compared": list(judgement.failed),
        "warnings": list(warnings),
        "conclusion": conclusion(judgement),
    }


def _grid(run: Run, judgement: CommitsJudgement) -> Grid:
    columns = (
        Column("engine", "left"),
        Column("measure", "left"),
        Column("before"),
        Column("after"),
        Column("change"),
        Column("p"),
        Column("limit"),
        Column("verdict", "left"),
    )
    rows = []
    for (engine, measure), change in judgement.changes.items():
        before, after = (
            _figure(each, measure) for each in _medians(run, judgement, engine, measure)
        )
        rows.append(
            (
                (engine,),
                (measure.value,),
                (before,),
                (after,),
                _change(change),
                (f"{change.p:.2g}",),
                (f"{change.limit:.0%}",),
                (change.verdict.value,),
            )
        )
    return Grid(columns, tuple(rows))


def _change(change: Change) -> tuple[str, ...]:
    ratio = change.ratio
    if ratio is None:
        return (NONE,)
    value = f"{ratio.value - 1:+.1%}"
    if ratio.low is None or ratio.high is None:
        return value, "too few rounds"
    return value, f"{ratio.low - 1:+.1%} to {ratio.high - 1:+.1%}"


def _medians(
    run: Run, judgement: CommitsJudgement, engine: str, measure: Measure
) -> tuple[Summary | None, Summary | None]:
    """Return the summaries of both versions' rounds."""
    names = f"{engine}@{BASE}", f"{engine}@{HEAD}"
    before, after = in_rounds(run, *names, FIGURES[measure], judgement.rounds)
    return summarize(before), summarize(after)


def _figure(of: Summary | None, measure: Measure) -> str:
    if of is None:
        return NONE
    return megabytes(of.median) if measure is Measure.MEMORY else short_time(of.median)


def _loss(loss: Loss) -> str:
    which = "warm-up" if loss.is_warmup else "round"
    before, after = (
        f"{trial.status.value}, {count(trial.restored)} of {count(trial.expected)} rows"
        for trial in (loss.before, loss.after)
    )
    detail = f" ({loss.after.detail})" if loss.after.detail else ""
    return f"{loss.engine}, {which} {loss.round}: {after}{detail}; before: {before}"
