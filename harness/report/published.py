"""The blocks of the README and the docs that are made of the newest published matrix.

A block stands between ``<!-- NAME:start -->`` and ``<!-- NAME:end -->``; ``python -m harness docs``
writes it, and a test fails if it is not as the published runs say.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.analysis.figures import figures
from harness.analysis.scaling import scalings
from harness.engines import registry
from harness.model.errors import HarnessError
from harness.model.record import FLOOR
from harness.report.blocks import Block, Column, Grid, to_markdown
from harness.report.html.picture import THEMES, picture
from harness.report.peer_facts import peer_facts
from harness.report.run import headline
from harness.report.run_grid import COMPARED_WITH, RUN_LEGEND, run_grid
from harness.report.scaling import LEGEND, scaling_grid, scaling_report, short_title, title
from harness.report.story import size_of, story_report
from harness.report.units import NONE, megabytes, rows_short, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.figures import EngineFigures, RunFigures
    from harness.analysis.scaling import Scaling
    from harness.model.record import Run

# The engines of the README's table, if they were measured; the docs have all of them.
README_ENGINES = (
    *("restore", "duckdb-tuned", "dlt-tuned", "polars", "jsonb-tuned", "pandas-copy"),
    *("sling-tuned", "prisma-batches", "django", "legacy", "pg_restore-tuned", FLOOR),
)
# The largest size of which all of them have been measured.
PICTURED_ROWS = 1_000_000
BATCHES = re.compile(r"prisma-batches(?:-(\d+))?")


def blocks(runs: Sequence[Run]) -> dict[str, str]:
    """Return the text of each block, by its name."""
    traffic = [run for run in runs if run.parameters.get("traffic")]
    groups = scalings(figures(run, COMPARED_WITH) for run in runs if run not in traffic)
    made = {
        "results": _results(groups),
        "matrix": scaling_report(groups),
        "runs": _runs(groups),
        "claims": _claims(groups, traffic),
        "advice": _advice(groups),
    }
    texts = {name: to_markdown(block) for name, block in made.items()}
    return {**texts, "peers": peer_facts([run for run in runs if run not in traffic])}


def pictures(runs: Sequence[Run]) -> dict[str, str]:
    """Return the README's pictures by the name of their files: of the size ``PICTURED_ROWS``."""
    plain = _bulk(scalings(figures(run, None) for run in runs if not run.parameters.get("traffic")))
    shown = [each for each in plain.runs if each.run.dataset.rows <= PICTURED_ROWS][-1:]
    return {
        f"results-{name}.svg": picture(run, README_ENGINES, theme)
        for run in shown
        for name, theme in THEMES.items()
    }


def with_blocks(text: str, made: dict[str, str]) -> str:
    """Return a document with its blocks as they are made."""

    def block(found: re.Match[str]) -> str:
        start, name, end = found[1], found[2], found[3]
        return f"{start}\n{made[name].strip()}\n{end}" if name in made else found[0]

    return re.sub(r"(<!-- (\w+):start -->).*?(<!-- \2:end -->)", block, text, flags=re.DOTALL)


def _results(groups: Sequence[Scaling]) -> tuple[Block, ...]:
    """Lay out the README's tables: some engines, each profile and memory limit, sound data."""
    chosen = [each for each in groups if each.conditions.faults == "none"]
    laid: list[Block] = []
    for each in sorted(
        chosen, key=lambda each: (each.conditions.profile, each.memory_limit_bytes or 0)
    ):
        grid = scaling_grid(each, [name for name in README_ENGINES if name in each.engines])
        laid += [title(each), grid]
    return (*laid, LEGEND)


def _claims(groups: Sequence[Scaling], traffic: Sequence[Run]) -> tuple[Block, ...]:
    """Lay out what the story reported beside what was measured, by size."""
    plain = _bulk(groups)
    damaged = [each.runs for each in groups if _is_like(each, plain, "realistic")]
    counted = list(map(figures, traffic))
    return story_report(_by_size(groups), damaged[0] if damaged else (), counted)


def _runs(groups: Sequence[Scaling]) -> tuple[Block, ...]:
    """Lay out each run: every engine with the spread of its figures, by size and conditions."""
    blocks: list[Block] = []
    for group in groups:
        for each in group.runs:
            size, parameters = rows_short(each.run.dataset.rows), each.run.parameters
            limit = parameters.get("timeout_s")
            blocks += [
                f"### {size} rows, {short_title(group)}",
                f"{headline(each.run)} A trial is stopped after {limit} s.",
                run_grid(each),
            ]
    return (*blocks, RUN_LEGEND)


def _advice(groups: Sequence[Scaling]) -> tuple[Block, ...]:
    """Lay out what was fastest, what held least, and the best size of a batch, by size."""
    columns = ("rows", "fastest", "time", "least memory", "peak", "best batch of inserts")
    rows = []
    for run in _by_size(groups):
        ok = [each for each in run.engines if each.wall_s and _is_advised(each.engine)]
        fastest = min(ok, key=_time_s, default=None)
        leanest = min(ok, key=_peak_bytes, default=None)
        batch = min(
            (each for each in ok if BATCHES.fullmatch(each.engine)), key=_time_s, default=None
        )
        rows.append(
            (
                (size_of(run),),
                (NONE if fastest is None else fastest.engine,),
                (NONE if fastest is None else seconds(_time_s(fastest)),),
                (NONE if leanest is None else leanest.engine,),
                (NONE if leanest is None else megabytes(_peak_bytes(leanest)),),
                (NONE if batch is None else batch.engine,),
            )
        )
    return (Grid(tuple(Column(name, "left") for name in columns), tuple(rows)),)


def _bulk(groups: Sequence[Scaling]) -> Scaling:
    """Return the group that documents quote: sound data, no memory limit, profile ``bulk``.

    Raises:
        HarnessError: it was not measured.
    """
    for each in groups:
        if _is_plain(each) and each.conditions.profile == "bulk":
            return each
    raise HarnessError("the published matrix has no run of profile bulk without faults and limit")


def _by_size(groups: Sequence[Scaling]) -> tuple[RunFigures, ...]:
    """Return the run of each size that documents quote; a size without one, of a memory limit."""
    plain = _bulk(groups)
    others = [
        each.runs
        for each in groups
        if each.memory_limit_bytes is not None and each.conditions == plain.conditions
    ]
    found = {run.run.dataset.rows: run for runs in (*others, plain.runs) for run in runs}
    return tuple(found[rows] for rows in sorted(found))


def _is_like(each: Scaling, other: Scaling, faults: str) -> bool:
    """Return whether a group is like another, but for these faults."""
    conditions = replace(each.conditions, faults="", dataset="")
    same = conditions == replace(other.conditions, faults="", dataset="")
    return (
        same
        and each.conditions.faults == faults
        and each.memory_limit_bytes == other.memory_limit_bytes
    )


def _is_plain(each: Scaling) -> bool:
    return each.conditions.faults == "none" and each.memory_limit_bytes is None


def _reads_json(engine: str) -> bool:
    """Return whether an engine reads the backup itself, and no input that was prepared."""
    return not registry.takes_prepared(engine)


def _is_advised(engine: str) -> bool:
    """Return whether an engine restores a backup by itself, and is no step of the ablation."""
    return _reads_json(engine) and engine not in {step.name for step in registry.STEPS}


def _time_s(of: EngineFigures) -> float:
    return of.wall_s.median if of.wall_s is not None else float("inf")


def _peak_bytes(of: EngineFigures) -> float:
    return of.peak_bytes.median if of.peak_bytes is not None else float("inf")
