"""Figures as rows for other programs: JSON and CSV, unrounded, units in the names."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.analysis.compare import Comparison
    from harness.model.record import Run

    Row = dict[str, Any]

# The fields of a trial, in the order of the columns.
_TRIAL_FIELDS = (
    *("engine", "round", "warmup", "repeated", "status", "started_at", "wall_s", "user_s"),
    *(
        "system_s",
        "peak_bytes",
        "server_peak_bytes",
        "exit_code",
        "signal",
        "expected",
        "restored",
        "detail",
    ),
)


def to_json(data: Sequence[Row] | Row) -> str:
    """Write rows as a JSON array of objects, or one object."""
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n"


def to_csv(rows: Sequence[Row]) -> str:
    """Write rows as CSV with a heading; empty if there are no rows."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


WRITERS: dict[str, Callable[[Sequence[Row]], str]] = {"json": to_json, "csv": to_csv}


def trials(run: Run) -> list[Row]:
    """Return a row for each trial of a run."""
    return [
        msgspec.to_builtins({name: getattr(trial, name) for name in _TRIAL_FIELDS})
        for trial in run.trials
    ]


def compared(comparison: Comparison) -> list[Row]:
    """Return a row for each ratio of after to before that can be computed."""
    return [
        {
            "engine": change.engine,
            "figure": figure,
            "basis": comparison.basis.value,
            "before": comparison.before.run.id,
            "after": comparison.after.run.id,
            "ratio": ratio,
        }
        for change in comparison.changes
        for figure, ratio in (("time", change.time), ("peak memory", change.memory))
        if ratio is not None
    ]
