"""Reports as data for other programs: what ``--format json`` prints (``docs/interfaces.md``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from harness.analysis.figures import time_ratio
from harness.analysis.verdicts import verdict
from harness.engines.ablation import STEPS

if TYPE_CHECKING:
    from harness.analysis.figures import EngineFigures, RunFigures
    from harness.analysis.stats import Ratio
    from harness.model.record import Run

    Data = dict[str, Any]

SCHEMA_VERSION = 1


def bench_data(of: RunFigures) -> Data:
    """Return the figures of a run: of each engine, with its ratios, and the failures."""
    return {
        **_head("bench", of.run),
        "reference": of.reference,
        "engines": [_engine(each) for each in of.engines],
        "failures": [
            {
                "engine": trial.engine,
                "round": trial.round,
                "warmup": trial.warmup,
                "status": trial.status.value,
                "detail": trial.detail,
            }
            for trial in of.failures
        ],
    }


def ablate_data(of: RunFigures) -> Data:
    """Return what each step of the ablation gains, and the figures of its engine."""
    run, first = of.run, STEPS[0].engine
    steps = []
    for number, step in enumerate(STEPS):
        above = STEPS[number - 1].engine
        gains = [time_ratio(run, other, step.engine) for other in (above, first)]
        gives, so_far = gains if number else (None, None)
        steps.append(
            {
                "engine": step.engine,
                "adds": step.adds,
                "gives": _ratio(gives),
                "so_far": _ratio(so_far),
            }
        )
    return {**bench_data(of), "kind": "ablate", "steps": steps}


def chaos_data(run: Run) -> Data:
    """Return the faults of a campaign and its findings, as they are recorded."""
    return {**_head("chaos", run), **msgspec.to_builtins(run.chaos)}


def _head(kind: str, run: Run) -> Data:
    """Return what all reports on a run begin with."""
    conditions = ("started_at", "finished_at", "parameters", "dataset", "server", "environment")
    return {
        "kind": kind,
        "schema": SCHEMA_VERSION,
        "run": run.id,
        "finished": run.finished_at is not None,
        **msgspec.to_builtins({name: getattr(run, name) for name in conditions}),
    }


def _engine(of: EngineFigures) -> Data:
    return {
        "engine": of.engine,
        "attempted": of.attempted,
        "ok": of.ok,
        "wall_s": msgspec.to_builtins(of.wall_s),
        "at_least_s": of.at_least_s,
        "rows_per_s": of.rows_per_s,
        "peak_bytes": msgspec.to_builtins(of.peak_bytes),
        "success": None if of.success is None else of.success.rate,
        "speed": _ratio(of.speed),
        "speed_at_least": of.speed_at_least,
        "memory": _ratio(of.memory),
        "vs_floor": _ratio(of.vs_floor),
        "vs_floor_at_least": of.vs_floor_at_least,
    }


def _ratio(of: Ratio | None) -> Data | None:
    if of is None:
        return None
    return {
        "ratio": of.value,
        "low": of.low,
        "high": of.high,
        "rounds": of.rounds,
        "verdict": verdict(of).value,
    }
