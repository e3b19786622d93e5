"""The arguments of ``bench``, and what they come to once every bound is checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.engines import fake as fake_engine
from harness.engines import registry as engines
from harness.generate import DatasetSpec
from harness.generate.pieces import processor_count
from harness.model.errors import InputError
from harness.model.manifest import MANIFEST
from harness.trial import heap
from harness.trial import output as said
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from collections.abc import Container

    from harness.engines.registry import Engine
    from harness.model.record import Run

DEFAULT_ROWS = 100_000
DEFAULT_SERVER = "auto"
DEFAULT_ROUNDS = 5
DEFAULT_WARMUP = 1
DEFAULT_REPEATS = 3

# Above this, five rounds of each engine take longer than most will wait; what fewer say is then
# called descriptive (``stats.MIN_ROUNDS``).
MANY_ROWS = 1_000_000
ROUNDS_OF_MANY = 3
DEFAULT_TIMEOUT_S = 1800.0
CACHE = Path("datasets/cache")

# More processes than this seldom help one server on one machine.
MAX_DEFAULT_JOBS = 8

# Beyond these it is a slip of the finger; nobody waits for a million rounds.
MAX_ROWS = 1_000_000_000
MAX_ROUNDS = 1000
MAX_JOBS = 64
MAX_TIMEOUT_S = 7 * 24 * 3600.0


def default_jobs() -> int:
    """Return how many processes an engine may use, if nobody says: this machine's cores."""
    return min(processor_count(), MAX_DEFAULT_JOBS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """What a run does. ``dataset`` is a generated one, and then the arguments that make one rest.

    ``memray`` asks for a pass after the trials that traces each engine's heap. ``confirms`` is the
    run whose alarm it is made to confirm, if it is (``harness/gate``).

    Raises:
        InputError: a value makes no sense.
    """

    engines: tuple[Engine, ...]
    rows: int = DEFAULT_ROWS
    rounds: int = DEFAULT_ROUNDS
    warmup: int = DEFAULT_WARMUP
    repeats: int = DEFAULT_REPEATS
    jobs: int = field(default_factory=default_jobs)
    server: str = DEFAULT_SERVER
    scenario: str = "business"
    faults: str = "none"
    seed: int = 0
    style: str = "lines"
    compress: str = "none"
    dataset: Path | None = None
    limits: Limits = field(default_factory=lambda: Limits(DEFAULT_TIMEOUT_S))
    results: Path | None = None
    cache: Path = CACHE
    memray: bool = False
    confirms: str | None = None

    def __post_init__(self) -> None:
        _within("--rows", self.rows, 1, MAX_ROWS)
        if self.dataset is None:
            self.spec()  # which checks the rest of what makes one
        _within("--rounds", self.rounds, 1, MAX_ROUNDS)
        _within("--warmup", self.warmup, 0, MAX_ROUNDS)
        _within("--repeats", self.repeats, 0, MAX_ROUNDS)
        _within("--jobs", self.jobs, 1, MAX_JOBS)
        _within("--timeout", self.limits.timeout_s, 0.001, MAX_TIMEOUT_S)
        if self.memray:
            heap.require()
        names = [engine.name for engine in self.engines]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"--engine {name} is given twice; name each engine once")

    def spec(self) -> DatasetSpec:
        """Return which dataset is asked for."""
        return DatasetSpec(
            scenario=self.scenario,
            rows=self.rows,
            seed=self.seed,
            faults=self.faults,
            style=self.style,
            compress=self.compress,
        )

    def parameters(self) -> dict[str, str | int | float | bool | list[str] | None]:
        """Return what a run records of its arguments; the dataset's stand in the dataset."""
        url = "://" in self.server
        return {
            "engines": [engine.name for engine in self.engines],
            "engine_commands": [
                said.redact(engine.given, ()) for engine in self.engines if engine.given
            ],
            "rounds": self.rounds,
            "warmup": self.warmup,
            "repeats": self.repeats,
            "jobs": self.jobs,
            "server": "url" if url else self.server,  # a URL can hold a password
            "timeout_s": self.limits.timeout_s,
            "memory_limit_bytes": self.limits.memory_bytes,
            **({"memray": True} if self.memray else {}),
            **({"confirms": self.confirms} if self.confirms else {}),
        }


def dataset_folder(path: Path) -> Path:
    """Return the dataset at ``path``, or the newest of those in it.

    Raises:
        InputError: there is none.
    """
    if (path / MANIFEST).is_file():
        return path
    found = sorted(truth.parent for truth in path.glob(f"*/{MANIFEST}"))
    if not found:
        raise InputError(
            f"--dataset {path}: no dataset there (no {MANIFEST}); make one with: "
            f"python -m harness generate --rows {DEFAULT_ROWS} --out {path}"
        )
    return found[-1]


def engine(name: str, commands: tuple[Engine, ...] = ()) -> Engine:
    """Return the engine of that name: a fake one, one of the table, or one of ``commands``.

    Raises:
        InputError: there is none.
    """
    if name.startswith(fake_engine.PREFIX):
        return fake_engine.engine(name)
    return engines.named(name, commands)


class _Parameters(msgspec.Struct):
    """What a run records of its arguments, as far as it takes to make it again."""

    engines: list[str]
    rounds: int
    warmup: int
    jobs: int
    server: str
    timeout_s: float
    memory_limit_bytes: int | None = None
    repeats: int = DEFAULT_REPEATS
    engine_commands: list[str] = []
    memray: bool = False


def options_from_run(
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
    if any(said.HIDDEN in command for command in was.engine_commands):
        raise InputError(f"run {run.id} used a command with a password, which is not recorded")
    commands = tuple(engines.command(text) for text in was.engine_commands)
    made = run.dataset
    return BenchOptions(
        engines=tuple(
            engine(name, commands) for name in was.engines if only is None or name in only
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


def _within(option: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:  # also where it is no number
        raise InputError(f"{option} {value:g} makes no sense; write {least:g} to {most:g}")
