"""Reports two files of pytest-benchmark: side by side, and their regressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.analysis.verdicts import Verdict, verdict
from harness.gate.pytest_files.judge import PairState
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

# Facts on the host that may differ between files that are compared.
_SOFTWARE = ("python_implementation", "python_version", "release")


def headline(path: Path, file: BenchmarkFile) -> str:
    """Summarize a file in a line."""
    commit = str(file.commit_info.get("id") or "unversioned")[:8]
    changes = " with changes" if file.commit_info.get("dirty") else ""
    run = f", run {file.run}" if file.run else ""
    count = f"{len(file.benchmarks)} benchmarks"
    failed = f", {len(file.failed)} failed" if file.failed else ""
    return f"{path}: {count}{failed}, {file.datetime[:16]}, commit {commit}{changes}{run}"


def compare_report(
    compared: Sequence[Pair], before: BenchmarkFile, after: BenchmarkFile
) -> tuple[Block, ...]:
    """Lay out each benchmark with its medians, and whether they differ."""
    columns = (
        Column("benchmark", "left"),
        Column("before"),
        Column("after"),
        Column("change", "left"),
    )
    grid = Grid(columns, tuple(_row(pair) for pair in compared))
    differing = tuple(
        f"{name}: {before.machine_info.get(name)} and {after.machine_info.get(name)}"
        for name in _SOFTWARE
        if before.machine_info.get(name) != after.machine_info.get(name)
    )
    rename_hint = _rename_hint(compared)
    return (
        *((Bullets("Other differences:", differing),) if differing else ()),
        grid,
        "Median times, each with the first and third quartile.",
        *((rename_hint,) if rename_hint else ()),
    )


def gate_report(judgement: Judgement, compared: Sequence[Pair]) -> tuple[Block, ...]:
    """Lay out the regressions, what was not judged, and a conclusion."""
    blocks: list[Block] = []
    if judgement.findings:
        blocks.append(findings_grid(judgement.findings, "benchmark"))
    if judgement.not_judged:
        blocks.append(Bullets("Not judged:", judgement.not_judged))
    rename_hint = _rename_hint(compared)
    if rename_hint:
        blocks.append(rename_hint)
    blocks.append(conclusion(judgement, ", make the new file the baseline."))
    return tuple(blocks)


def rows(compared: Sequence[Pair]) -> list[dict[str, Any]]:
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
            "verdict": None if pair.time is None else verdict(pair.time).value,
        }
        for pair in compared
    ]


def _row(pair: Pair) -> tuple[Cell, ...]:
    return (pair.fullname,), _time(pair, "before"), _time(pair, "after"), _change(pair)


def _time(pair: Pair, side: str) -> Cell:
    benchmark = pair.before if side == "before" else pair.after
    if benchmark is None:
        return (NONE,)
    stats = benchmark.stats
    spread = f"{short_time(stats.q1)}-{short_time(stats.q3)}"
    return (short_time(stats.median), spread)


def _change(pair: Pair) -> Cell:
    """Format the change of a benchmark's time, or why there is none."""
    if pair.state is PairState.FAILED:
        details = [] if pair.failure is None else pair.failure.extra_info.get("details")
        first = str(details[0]) if isinstance(details, list) and details else ""
        return "FAILED", first
    if pair.state is not PairState.BOTH:
        return (pair.state.value.upper() if pair.state is PairState.MISSING else pair.state.value,)
    return (NONE,) if pair.time is None else _changed(pair.time)


def _changed(ratio: Ratio) -> Cell:
    """Format a ratio of after to before, or that it is inconclusive."""
    match verdict(ratio):
        case Verdict.SAME:
            return ("same",)
        case Verdict.HIGHER:
            return (f"{factor(ratio.value)} slower",)
        case Verdict.LOWER:
            return (f"{factor(1 / ratio.value)} faster",)
        case Verdict.INCONCLUSIVE:
            uncertainty = (
                cells.uncertainty(ratio)
                if ratio.p is not None or ratio.is_descriptive
                else "inconclusive"
            )
            return (f"{ratio.value - 1:+.1%}", uncertainty)


def _rename_hint(compared: Sequence[Pair]) -> str | None:
    """Hint at a renamed benchmark, if one is missing and another is new."""
    gone = any(pair.state is PairState.MISSING for pair in compared)
    new = [pair.fullname for pair in compared if pair.state is PairState.NEW]
    if not gone or not new:
        return None
    return (
        "A renamed benchmark counts as one that is missing and one that is new, with nothing to "
        f"compare it with. New: {', '.join(new)}."
    )
