"""Reports a judged run: what regressed, by how much, with what certainty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.stats import CONFIDENCE
from harness.analysis.verdicts import more_rounds
from harness.gate.verdict import Finding, InconclusiveMeasure, Judgement, Measure
from harness.report.blocks import Block, Bullets, Column, Grid
from harness.report.run import headline
from harness.report.units import NONE, factor, megabytes, short_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.stats import Ratio
    from harness.gate.baseline import Baseline
    from harness.model.record import Run


def gate_report(
    head: Run,
    baseline: Baseline,
    judgement: Judgement,
    dropped: tuple[Finding, ...],
    not_confirmed_because: str | None,
) -> tuple[Block, ...]:
    """Lay out the judgement of a run.

    Args:
        head: the run.
        baseline: its baseline.
        judgement: the confirmed findings, and measures that were not judged.
        dropped: findings that were not confirmed.
        not_confirmed_because: why nothing could be measured once more, if so.
    """
    blocks: list[Block] = [headline(head), _against(baseline)]
    if judgement.findings:
        blocks.append(findings_grid(judgement.findings, "engine"))
    if dropped:
        lines = tuple(
            f"{one.engine}, {one.measure.value}: {one.regression.value}" for one in dropped
        )
        blocks.append(Bullets("Not confirmed when measured once more:", lines))
    if judgement.inconclusive:
        blocks.append(
            Bullets("Inconclusive:", tuple(_inconclusive(one) for one in judgement.inconclusive))
        )
    if judgement.not_judged:
        blocks.append(Bullets("Not judged:", judgement.not_judged))
    if not_confirmed_because:
        blocks.append(f"Not confirmed by a second measurement: {not_confirmed_because}.")
    blocks.append(conclusion(judgement, f': python -m harness accept {head.id} --why "..."'))
    return tuple(blocks)


def findings_grid(findings: Sequence[Finding], subject: str) -> Grid:
    """Lay out the regressions.

    Args:
        findings: the regressions.
        subject: the heading of the first column.
    """
    columns = (
        Column(subject, "left"),
        Column("measure", "left"),
        Column("", "left"),
        Column("before"),
        Column("after"),
        Column("by", "left"),
        Column("limit"),
    )
    return Grid(columns, tuple(_row(found) for found in findings))


def _against(baseline: Baseline) -> str:
    if not baseline.runs:
        return "There is no earlier run of the same work to compare with."
    ids = ", ".join(run.id for run in baseline.runs)
    return f"Judged against {len(baseline.runs)} run{'s' * (len(baseline.runs) > 1)}: {ids}."


def _row(found: Finding) -> tuple[tuple[str, ...], ...]:
    since = f"since run {found.since}" if found.since else ""
    return (
        (found.engine,),
        (found.measure.value,),
        (found.regression.value, since),
        (_figure(found.measure, found.before),),
        (_figure(found.measure, found.after),),
        _by(found.ratio),
        (f"{found.limit:.0%}",),
    )


def _figure(measure: Measure, value: float | None) -> str:
    if value is None:
        return NONE
    match measure:
        case Measure.FLOOR | Measure.LEGACY:
            return factor(value)
        case Measure.TIME:
            return short_time(value)
        case Measure.MEMORY:
            return megabytes(value)
        case Measure.SUCCESS | Measure.OK | Measure.PRESENT:
            return f"{value:.4%}"


def _by(ratio: Ratio | None) -> tuple[str, ...]:
    """Format the change and its uncertainty."""
    if ratio is None:
        return ("counted",)
    by = f"{ratio.value - 1:+.1%}"
    if ratio.low is None or ratio.high is None or ratio.p is None:
        return by, f"change point over {ratio.rounds} runs"
    interval = f"{ratio.low - 1:+.1%} to {ratio.high - 1:+.1%} ({CONFIDENCE:.0%})"
    return by, interval, f"p = {ratio.p:.2g}"


def _inconclusive(measure: InconclusiveMeasure) -> str:
    """Describe a measure that may be worse, and how many rounds may settle it."""
    more = more_rounds(measure.ratio, measure.limit)
    advice = "" if more is None else f"; {more} more round{'s' * (more > 1)} may settle it"
    return f"{measure.engine}, {measure.measure.value}: {', '.join(_by(measure.ratio))}{advice}"


def conclusion(judgement: Judgement, if_meant: str) -> str:
    """Conclude in a sentence; ``if_meant`` is what to do if the regression is intended."""
    if not judgement.findings:
        sure = judgement.checked - len(judgement.inconclusive)
        inconclusive = (
            f"; {len(judgement.inconclusive)} are inconclusive" if judgement.inconclusive else ""
        )
        return f"No regression: {sure} measures are within their limits{inconclusive}."
    return (
        f"{len(judgement.findings)} of {judgement.checked} measures regressed. "
        f"If that is intended{if_meant}"
    )
