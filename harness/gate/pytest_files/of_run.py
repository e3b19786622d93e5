"""A run of the harness as a file of pytest-benchmark: a benchmark an engine, a round a trial."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

from harness.analysis.figures import figures
from harness.gate.pytest_files.file import FORM, Benchmark, BenchmarkFile, Failed
from harness.gate.pytest_files.spread import stats
from harness.model.errors import InputError

if TYPE_CHECKING:
    from harness.analysis.figures import EngineFigures, RunFigures
    from harness.model.record import Run

# A failure is told by the first few of its reasons; the run has them all.
_MOST_DETAILS = 3


def of_run(run: Run) -> BenchmarkFile:
    """Return what a run says as the file that pytest-benchmark would write of it.

    An engine of which no time is known stands in ``failed``: the format has no place for it, and
    any figure in its stead would look like a time.

    Raises:
        InputError: the run has no trials, or was cut off.
    """
    if run.chaos is not None or run.finished_at is None:
        why = "it holds no trials" if run.chaos is not None else "it was cut off"
        raise InputError(f"run {run.id} cannot be written as a file of pytest-benchmark: {why}")
    told = figures(run, reference=None)
    benchmarks = []
    failed = []
    for each in told.engines:
        names, extra = _names(run, each.engine), _extra(told, each)
        times_s = told.samples(each.engine).walls_s
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
    """Return what names an engine's benchmark: all that makes it the same work is in its name."""
    of = run.dataset
    params: dict[str, Any] = {
        "scenario": of.scenario,
        "rows": of.rows,
        "faults": of.faults,
        "seed": of.seed,
        "style": of.style,
        "compress": of.compress,
        "generator": of.generator,
    }
    if "jobs" in run.parameters:
        params["jobs"] = run.parameters["jobs"]
    param = "-".join(str(value) for value in params.values())
    return {
        "group": f"{of.rows:,} rows of {of.scenario}, faults {of.faults}",
        "name": f"{engine}[{of.scenario}-{of.rows}-{of.faults}]",
        "fullname": f"restorebench::{engine}[{param}]",
        "params": params,
        "param": param,
    }


def _extra(told: RunFigures, of: EngineFigures) -> dict[str, Any]:
    """Return what there is to say of an engine beside its times."""
    trials = [
        trial
        for trial in told.run.trials
        if trial.engine == of.engine and not (trial.warmup or trial.repeated)
    ]
    details = dict.fromkeys(trial.detail for trial in trials if trial.detail)
    return {
        "engine": of.engine,
        "rows": told.run.dataset.rows,
        "rows_per_s": of.rows_per_s,
        "peak_bytes": None if of.peak_bytes is None else of.peak_bytes.median,
        "success": None if of.success is None else of.success.rate,
        "statuses": dict(collections.Counter(trial.status.value for trial in trials)),
        "at_least_s": of.at_least_s,
        "details": list(details)[:_MOST_DETAILS],
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
    """Return the machine, less the host's name, which no run holds; and the server."""
    of = run.environment
    system, release, *_ = (*of.os.split(" "), "")
    implementation, _, version = of.python.partition(" ")
    return {
        "node": "",
        "processor": of.cpu,
        "machine": "",
        "python_implementation": implementation,
        "python_implementation_version": version,
        "python_version": version,
        "release": release,
        "system": system,
        "cpu": {"brand_raw": of.cpu, "count": of.cores},
        "memory_bytes": of.memory_bytes,
        "server": {
            "kind": run.server.kind,
            "version": run.server.version,
            "image": run.server.image_digest or run.server.image,
            "settings": run.server.settings,
        },
    }
