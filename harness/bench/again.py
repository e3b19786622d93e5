"""The options that make a recorded run once more: the same work, in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from harness.bench import options as bench_options
from harness.bench.options import BenchOptions
from harness.engines import registry as engines
from harness.model.errors import InputError
from harness.trial.meter import Limits
from harness.trial.output import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from harness.model.record import Run


class _Parameters(msgspec.Struct):
    """What a run records of its arguments, as far as it takes to make it again."""

    engines: list[str]
    rounds: int
    warmup: int
    jobs: int
    server: str
    timeout_s: float
    memory_limit_bytes: int | None = None
    repeats: int = bench_options.DEFAULT_REPEATS
    engine_commands: list[str] = []
    memray: bool = False


def options_of(
    run: Run,
    *,
    only: Container[str] | None = None,
    server: str | None = None,
    dataset: Path | None = None,
    results: Path | None = None,
) -> BenchOptions:
    """Return how a run was made.

    Args:
        run: the run.
        only: the engines to take of it; None for all.
        server: in place of the kind that it had; needed where that was a URL, not being recorded.
        dataset: where the dataset lies, if the generator does not make it.
        results: where the new run is recorded.

    Raises:
        InputError: its record does not say enough; the message names what to add.
    """
    try:
        was = msgspec.convert(run.parameters, _Parameters)
    except msgspec.ValidationError as error:
        raise InputError(f"run {run.id} does not record how it was made ({error})") from error
    if was.server == "url" and server is None:
        raise InputError(f"run {run.id} was made on a server of yours; name it with --server URL")
    if any(HIDDEN in command for command in was.engine_commands):
        raise InputError(f"run {run.id} used a command with a password, which is not recorded")
    commands = tuple(engines.command(text) for text in was.engine_commands)
    made = run.dataset
    return BenchOptions(
        engines=tuple(
            bench_options.engine(name, commands)
            for name in was.engines
            if only is None or name in only
        ),
        rows=made.rows,
        scenario=made.scenario,
        faults=made.faults,
        seed=made.seed,
        style=made.style,
        compress=made.compress,
        dataset=dataset,
        rounds=was.rounds,
        warmup=was.warmup,
        repeats=was.repeats,
        jobs=was.jobs,
        server=server or was.server,
        limits=Limits(was.timeout_s, was.memory_limit_bytes),
        results=results,
        memray=was.memray,
    )
