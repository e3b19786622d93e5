"""Converts a run to a file of pytest-benchmark: a benchmark per engine, a round per trial."""

from __future__ import annotations

import collections
import statistics
from typing import TYPE_CHECKING, Any

from harness.analysis.figures import figures
from harness.gate.pytest_files.file import FORM, Benchmark, BenchmarkFile, Failed, Stats
from harness.model.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.figures import EngineFigures, RunFigures
    from harness.model.record import Run

# The first few reasons describe a failure; the run has them all.
MAX_DETAILS = 3


def from_run(run: Run) -> BenchmarkFile:
    """Return a run as the file that pytest-benchmark would write.

    An engine without a known time is listed in ``failed``: the format has no place for it, and any
    figure in its stead would look like a time.

    Raises:
        InputError: the run has no trials, or is unfinished.
    """
    if run.chaos is not None or run.finished_at is None:
        why = "it holds no trials" if run.chaos is not None else "it is unfinished"
        raise InputError(f"run {run.id} cannot be written as a file of pytest-benchmark: {why}")
    run_figures = figures(run, reference=None)
    benchmarks = []
    failed = []
    for each in run_figures.engines:
        names, extra = _names(run, each.engine), _extra(run_figures, each)
        times_s = run_figures.samples(each.engine).walls_s
        if times_s:
            options = _options(run)
            made = Benchmark(**names, extra_info=extra, options=options, stats=stats(times_s))
            benchmarks.append(made)
        else:
            failed.append(Failed(**names, extra_info=extra))
    return BenchmarkFile(
        machine_info=_machine(run),
        commit_info={
            "id": run.environment.commit or "unversioned",
            "time": None,
            "author_time": None,
            "dirty": bool(run.environment.dirty),
            "project": "restorebench",
            "branch": "(unknown)",
        },
        benchmarks=tuple(benchmarks),
        datetime=run.started_at,
        version=FORM,
        failed=tuple(failed),
        run=run.id,
    )


def _names(run: Run, engine: str) -> dict[str, Any]:
    """Return the names of an engine's benchmark, with all that identifies its work."""
    dataset = run.dataset
    params: dict[str, Any] = {
        "scenario": dataset.scenario,
        "rows": dataset.rows,
        "faults": dataset.faults,
        "seed": dataset.seed,
        "style": dataset.style,
        "compress": dataset.compress,
        "generator": dataset.generator,
    }
    if "jobs" in run.parameters:
        params["jobs"] = run.parameters["jobs"]
    param = "-".join(str(value) for value in params.values())
    return {
        "group": f"{dataset.rows:,} rows of {dataset.scenario}, faults {dataset.faults}",
        "name": f"{engine}[{dataset.scenario}-{dataset.rows}-{dataset.faults}]",
        "fullname": f"restorebench::{engine}[{param}]",
        "params": params,
        "param": param,
    }


def _extra(run_figures: RunFigures, engine_figures: EngineFigures) -> dict[str, Any]:
    """Return the facts on an engine that are no times."""
    trials = [
        trial
        for trial in run_figures.run.trials
        if trial.engine == engine_figures.engine and not (trial.warmup or trial.repeated)
    ]
    details = dict.fromkeys(trial.detail for trial in trials if trial.detail)
    return {
        "engine": engine_figures.engine,
        "rows": run_figures.run.dataset.rows,
        "rows_per_s": engine_figures.rows_per_s,
        "peak_bytes": None
        if engine_figures.peak_bytes is None
        else engine_figures.peak_bytes.median,
        "success": None if engine_figures.success is None else engine_figures.success.rate,
        "statuses": dict(collections.Counter(trial.status.value for trial in trials)),
        "at_least_s": engine_figures.at_least_s,
        "details": list(details)[:MAX_DETAILS],
    }


def _options(run: Run) -> dict[str, Any]:
    return {
        "disable_gc": False,
        "timer": "monotonic",
        "min_rounds": run.parameters.get("rounds"),
        "max_time": run.parameters.get("timeout_s"),
        "min_time": 0.0,
        "warmup": bool(run.parameters.get("warmup")),
    }


def _machine(run: Run) -> dict[str, Any]:
    """Return the machine, without the host's name, which no run records, and the server."""
    environment = run.environment
    system, release, *_ = (*environment.os.split(" "), "")
    implementation, _, version = environment.python.partition(" ")
    return {
        "node": "",
        "processor": environment.cpu,
        "machine": "",
        "python_implementation": implementation,
        "python_implementation_version": version,
        "python_version": version,
        "release": release,
        "system": system,
        "cpu": {"brand_raw": environment.cpu, "count": environment.cores},
        "memory_bytes": environment.memory_bytes,
        "server": {
            "kind": run.server.kind,
            "version": run.server.version,
            "image": run.server.image_digest or run.server.image,
            "settings": run.server.settings,
        },
    }


def stats(times_s: Sequence[float]) -> Stats:
    """Return the figures of rounds of one iteration, computed as pytest-benchmark does."""
    ordered = sorted(times_s)
    mean, total = statistics.mean(times_s), sum(times_s)
    stddev = statistics.stdev(times_s) if len(times_s) > 1 else 0.0
    q1, q3 = _quartiles(ordered)
    iqr = q3 - q1
    low, high = q1 - 1.5 * iqr, q3 + 1.5 * iqr
    far = sum(abs(time_s - mean) > stddev for time_s in times_s)
    outliers = sum(not low <= time_s <= high for time_s in times_s)
    return Stats(
        min=ordered[0],
        max=ordered[-1],
        mean=mean,
        stddev=stddev,
        rounds=len(times_s),
        median=statistics.median(times_s),
        iqr=iqr,
        q1=q1,
        q3=q3,
        iqr_outliers=outliers,
        stddev_outliers=far,
        outliers=f"{far};{outliers}",
        ld15iqr=next(time_s for time_s in ordered if time_s >= low),
        hd15iqr=next(time_s for time_s in reversed(ordered) if time_s <= high),
        ops=len(times_s) / total if total else 0.0,
        total=total,
        data=tuple(times_s),
    )


def _quartiles(ordered: Sequence[float]) -> tuple[float, float]:
    """Return the first and the third quartile: of an even number, the medians of the halves."""
    count = len(ordered)
    if count == 1:
        return ordered[0], ordered[0]
    if count % 2 == 0:
        return statistics.median(ordered[: count // 2]), statistics.median(ordered[count // 2 :])
    n, rest = divmod(count, 4)
    if rest == 1:
        return (
            0.25 * ordered[n - 1] + 0.75 * ordered[n],
            0.75 * ordered[3 * n] + 0.25 * ordered[3 * n + 1],
        )
    return (
        0.75 * ordered[n] + 0.25 * ordered[n + 1],
        0.25 * ordered[3 * n + 1] + 0.75 * ordered[3 * n + 2],
    )
