"""Reports a judged run: what regressed, by how much, with what certainty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.analysis.stats import CONFIDENCE
from harness.gate.verdict import Finding, Judgement, Measure
from harness.report.blocks import Block, Bullets, Column, Grid
from harness.report.data import SCHEMA_VERSION
from harness.report.run import headline
from harness.report.units import NONE, megabytes, short_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.stats import Ratio
    from harness.gate.baseline import Baseline
    from harness.model.record import Run


def gate_report(head: Run, baseline: Baseline, judgement: Judgement) -> tuple[Block, ...]:
    """Lay out the judgement of a run.

    Args:
        head: the run.
        baseline: its baseline.
        judgement: the judgement.
    """
    blocks: list[Block] = [headline(head), _against(baseline)]
    if judgement.findings:
        blocks.append(findings_grid(judgement.findings, "engine"))
    if judgement.not_judged:
        blocks += [
            Bullets("Not judged:", judgement.not_judged),
            "To judge times of this code now: python -m harness gate --base COMMIT",
        ]
    return (*blocks, conclusion(judgement, f': python -m harness accept {head.id} --why "..."'))


def gate_data(head: Run, baseline: Baseline, judgement: Judgement) -> dict[str, Any]:
    """Return the judgement as data (``docs/interfaces.md``); arguments as ``gate_report``."""
    return {
        "kind": "gate",
        "schema": SCHEMA_VERSION,
        "run": head.id,
        "baseline": [run.id for run in baseline.runs],
        **judgement_data(judgement),
    }


def judgement_data(judgement: Judgement) -> dict[str, Any]:
    """Return the findings and what was not judged as data."""
    return {
        "worse": bool(judgement.findings),
        "checked": judgement.checked,
        "findings": [
            {
                "name": found.engine,
                "measure": found.measure.value,
                "regression": found.regression.value,
                "before": found.before,
                "after": found.after,
                "ratio": found.ratio and found.ratio.value,
                "low": found.ratio and found.ratio.low,
                "high": found.ratio and found.ratio.high,
                "limit": found.limit,
            }
            for found in judgement.findings
        ],
        "not_judged": list(judgement.not_judged),
    }


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
    return (
        (found.engine,),
        (found.measure.value,),
        (found.regression.value,),
        (_figure(found.measure, found.before),),
        (_figure(found.measure, found.after),),
        _by(found.ratio),
        (f"{found.limit:.0%}",),
    )


def _figure(measure: Measure, value: float | None) -> str:
    if value is None:
        return NONE
    match measure:
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
        return by, f"{ratio.rounds} earlier sessions"
    interval = f"{ratio.low - 1:+.1%} to {ratio.high - 1:+.1%} ({CONFIDENCE:.0%})"
    return by, interval, f"p = {ratio.p:.2g}"


def conclusion(judgement: Judgement, if_meant: str) -> str:
    """Conclude in a sentence; ``if_meant`` is what to do if the regression is intended."""
    if not judgement.findings:
        return f"No regression: {judgement.checked} measures are within their limits."
    return (
        f"{len(judgement.findings)} of {judgement.checked} measures regressed. "
        f"If that is intended{if_meant}"
    )
