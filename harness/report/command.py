"""The command that repeats a run, from its record."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from harness.analysis.commits import COMMITS
from harness.model.record import FLOOR

if TYPE_CHECKING:
    from harness.model.record import Run

_PROGRAM = ("python", "-m", "harness")

# The options that are recorded as parameters under other names than their own.
_PARAMETERS = {
    "rounds": "--rounds",
    "warmup": "--warmup",
    "repeats": "--repeats",
    "jobs": "--jobs",
    "timeout_s": "--timeout",
}


def commands(run: Run) -> tuple[str, ...]:
    """Return the lines that repeat a run: its commit, then its command."""
    commit = run.environment.commit
    lines = [] if commit is None else [f"git checkout {shlex.quote(commit)}"]
    if run.environment.dirty:
        lines.append("# the run was made with changes that are in no commit")
    if run.parameters.get("server") == "url":
        lines.append("# the server's address is not recorded")
    return (*lines, shlex.join([*_PROGRAM, *arguments(run)]))


def arguments(run: Run) -> tuple[str, ...]:
    """Return the arguments of the command that repeats a run."""
    compared = run.parameters.get(COMMITS)
    if isinstance(compared, list):
        return ("compare-commits", *compared, *_dataset(run), *_measurement(run))
    return ("bench", *_engines(run), *_dataset(run), *_measurement(run))


def _engines(run: Run) -> tuple[str, ...]:
    engines, own = (_texts(run, name) for name in ("engines", "engine_commands"))
    called = {command.partition("=")[0] for command in own}
    named = [name for name in engines if name not in called and name != FLOOR]
    return (
        *(word for name in named for word in ("--engine", name)),
        *(word for command in own for word in ("--engine-command", command)),
        *(() if FLOOR in engines else ("--no-floor",)),
    )


def _texts(run: Run, name: str) -> list[str]:
    found = run.parameters.get(name)
    return found if isinstance(found, list) else []


def _dataset(run: Run) -> tuple[str, ...]:
    dataset = run.dataset
    if dataset.content is not None:
        return ("--dataset", dataset.scenario)
    given = {
        "--rows": dataset.rows,
        "--scenario": dataset.scenario,
        "--faults": dataset.faults,
        "--seed": dataset.seed,
        "--style": dataset.style,
        "--compress": dataset.compress,
    }
    return tuple(word for name, value in given.items() for word in (name, str(value)))


def _measurement(run: Run) -> tuple[str, ...]:
    words: list[str] = []
    for name, option in _PARAMETERS.items():
        value = run.parameters.get(name)
        if value is not None:
            words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    limit = run.parameters.get("memory_limit_bytes")
    if isinstance(limit, int):
        words += ["--memory-limit", f"{limit / 1000:.3f}kB"]
    server = run.parameters.get("server", run.server.kind)
    words += ["--server", "postgresql://..." if server == "url" else str(server)]
    if run.server.profile in {"bulk", "stock"}:
        words += ["--server-profile", run.server.profile]
    if run.parameters.get("memray"):
        words.append("--memray")
    if run.parameters.get("traffic"):
        words.append("--traffic")
    return tuple(words)
