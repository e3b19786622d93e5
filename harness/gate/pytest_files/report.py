"""What is said of two files of pytest-benchmark: side by side, and of what fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.analysis.verdicts import Verdict
from harness.gate.pytest_files.judge import PairState, judged_verdict
from harness.gate.report import conclusion, findings_grid
from harness.report import cells
from harness.report.blocks import Block, Bullets, Cell, Column, Grid
from harness.report.units import NONE, factor, short_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.analysis.stats import Ratio
    from harness.gate.pytest_files.file import BenchmarkFile
    from harness.gate.pytest_files.judge import Pair
    from harness.gate.verdict import Judgement

# Of what names the host, this may differ between files that are compared.
_SOFTWARE = ("python_implementation", "python_version", "release")


def headline(path: Path, of: BenchmarkFile) -> str:
    """Say what a file is."""
    commit = str(of.commit_info.get("id") or "unversioned")[:8]
    changes = " with changes" if of.commit_info.get("dirty") else ""
    run = f", run {of.run}" if of.run else ""
    count = f"{len(of.benchmarks)} benchmarks"
    failed = f", {len(of.failed)} failed" if of.failed else ""
    return f"{path}: {count}{failed}, {of.datetime[:16]}, commit {commit}{changes}{run}"


def compare_report(
    of: Sequence[Pair], before: BenchmarkFile, after: BenchmarkFile
) -> tuple[Block, ...]:
    """Lay out each benchmark: its medians, and whether they differ."""
    columns = (
        Column("benchmark", "left"),
        Column("before"),
        Column("after"),
        Column("change", "left"),
    )
    grid = Grid(columns, tuple(_row(pair) for pair in of))
    differing = tuple(
        f"{name}: {before.machine_info.get(name)} and {after.machine_info.get(name)}"
        for name in _SOFTWARE
        if before.machine_info.get(name) != after.machine_info.get(name)
    )
    rename_hint = _rename_hint(of)
    return (
        *((Bullets("What else differs:", differing),) if differing else ()),
        grid,
        "Median times; each beside it, the first and the third quartile.",
        *((rename_hint,) if rename_hint else ()),
    )


def gate_report(judged: Judgement, of: Sequence[Pair]) -> tuple[Block, ...]:
    """Say what fails, what could not be judged, and how it stands."""
    blocks: list[Block] = []
    if judged.findings:
        blocks.append(findings_grid(judged.findings, "benchmark"))
    if judged.not_judged:
        blocks.append(Bullets("Not judged:", judged.not_judged))
    rename_hint = _rename_hint(of)
    if rename_hint:
        blocks.append(rename_hint)
    blocks.append(conclusion(judged, ", make the new file the baseline."))
    return tuple(blocks)


def rows(of: Sequence[Pair]) -> list[dict[str, Any]]:
    """Return a row for each benchmark, for other programs."""
    return [
        {
            "benchmark": pair.fullname,
            "fate": pair.state.value,
            "before_s": None if pair.before is None else pair.before.stats.median,
            "after_s": None if pair.after is None else pair.after.stats.median,
            "ratio": None if pair.time is None else pair.time.value,
            "low": None if pair.time is None else pair.time.low,
            "high": None if pair.time is None else pair.time.high,
            "p": None if pair.time is None else pair.time.p,
            "verdict": None if pair.time is None else judged_verdict(pair.time).value,
        }
        for pair in of
    ]


def _row(pair: Pair) -> tuple[Cell, ...]:
    return (pair.fullname,), _time(pair, "before"), _time(pair, "after"), _change(pair)


def _time(pair: Pair, side: str) -> Cell:
    of = pair.before if side == "before" else pair.after
    if of is None:
        return (NONE,)
    stats = of.stats
    spread = f"{short_time(stats.q1)}-{short_time(stats.q3)}"
    return (short_time(stats.median), spread)


def _change(pair: Pair) -> Cell:
    """Say what became of a benchmark: its fate, or how its time has changed."""
    if pair.state is PairState.FAILED:
        details = [] if pair.failure is None else pair.failure.extra_info.get("details")
        first = str(details[0]) if isinstance(details, list) and details else ""
        return "FAILED", first
    if pair.state is not PairState.BOTH:
        return (pair.state.value.upper() if pair.state is PairState.MISSING else pair.state.value,)
    return (NONE,) if pair.time is None else _changed(pair.time)


def _changed(of: Ratio) -> Cell:
    """Write a ratio of after to before, or that it does not tell."""
    match judged_verdict(of):
        case Verdict.SAME:
            return ("the same",)
        case Verdict.HIGHER:
            return (f"{factor(of.value)} slower",)
        case Verdict.LOWER:
            return (f"{factor(1 / of.value)} faster",)
        case Verdict.INCONCLUSIVE:
            doubt = cells.doubt(of) if of.p is not None or of.is_descriptive else "inconclusive"
            return (f"{of.value - 1:+.1%}", doubt)


def _rename_hint(of: Sequence[Pair]) -> str | None:
    """Say that a benchmark may have been renamed, where one is gone and another is new."""
    gone = any(pair.state is PairState.MISSING for pair in of)
    new = [pair.fullname for pair in of if pair.state is PairState.NEW]
    if not gone or not new:
        return None
    return (
        "A benchmark that was renamed is one that vanished and one that is new, whose time is "
        f"beside no other. New: {', '.join(new)}."
    )
