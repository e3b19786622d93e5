"""What is said of a run that was judged: what got worse, by how much, with what certainty."""

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
    of: Run, baseline: Baseline, judged: Judgement, dropped: tuple[Finding, ...], doubt: str | None
) -> tuple[Block, ...]:
    """Lay out what a run is accused of.

    Args:
        of: the run.
        baseline: what it was judged against.
        judged: what stands.
        dropped: what was found at first, and not again.
        doubt: why nothing could be measured once more, if so.
    """
    blocks: list[Block] = [headline(of), _against(baseline)]
    if judged.findings:
        blocks.append(findings_grid(judged.findings, "engine"))
    if dropped:
        lines = tuple(
            f"{one.engine}, {one.measure.value}: {one.regression.value}" for one in dropped
        )
        blocks.append(Bullets("Found at first, and not again when measured once more:", lines))
    if judged.inconclusive:
        blocks.append(
            Bullets("No telling yet:", tuple(_inconclusive(one) for one in judged.inconclusive))
        )
    if judged.not_judged:
        blocks.append(Bullets("Not judged:", judged.not_judged))
    if doubt:
        blocks.append(f"Nothing was measured once more: {doubt}.")
    blocks.append(conclusion(judged, f': python -m harness accept {of.id} --why "..."'))
    return tuple(blocks)


def findings_grid(findings: Sequence[Finding], of_what: str) -> Grid:
    """Lay out what got worse.

    Args:
        findings: what did.
        of_what: what they are about, as the heading of the first column.
    """
    columns = (
        Column(of_what, "left"),
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
        return "There is no earlier run of the same work, so that nothing can be worse."
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


def _by(of: Ratio | None) -> tuple[str, ...]:
    """Say by how much, and how sure that is."""
    if of is None:
        return ("counted",)
    by = f"{of.value - 1:+.1%}"
    if of.low is None or of.high is None or of.p is None:
        return by, f"a change of level, over {of.rounds} runs"
    interval = f"{of.low - 1:+.1%} to {of.high - 1:+.1%} ({CONFIDENCE:.0%})"
    return by, interval, f"p = {of.p:.2g}"


def _inconclusive(of: InconclusiveMeasure) -> str:
    """Say what may be worse, and what would tell."""
    more = more_rounds(of.ratio, of.limit)
    advice = "" if more is None else f"; {more} more round{'s' * (more > 1)} may tell"
    return f"{of.engine}, {of.measure.value}: {', '.join(_by(of.ratio))}{advice}"


def conclusion(judged: Judgement, if_meant: str) -> str:
    """Say how it stands; ``if_meant`` is what to do about what got worse, if that is meant."""
    if not judged.findings:
        sure = judged.checked - len(judged.inconclusive)
        inconclusive = (
            f"; of {len(judged.inconclusive)} there is no telling" if judged.inconclusive else ""
        )
        return f"Nothing got worse: {sure} measures are within their limits{inconclusive}."
    return (
        f"{len(judged.findings)} of {judged.checked} measures got worse. If that is meant{if_meant}"
    )
