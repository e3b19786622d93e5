"""The options of a run, with every bound checked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.engines import configured
from harness.engines import fake as fake_engine
from harness.engines import registry as engines
from harness.generate import DatasetSpec
from harness.model.errors import InputError
from harness.model.machine import processor_count
from harness.model.manifest import MANIFEST
from harness.model.record import AS_IT_IS
from harness.trial import heap, output
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.engines.engine import Engine
    from harness.model.record import Run
    from harness.servers.messages import ServerProfile

    Parameter = str | int | float | bool | list[str] | None

DEFAULT_ROWS = 100_000
DEFAULT_SERVER = "auto"
DEFAULT_SERVER_PROFILE: ServerProfile = "bulk"
DEFAULT_ROUNDS = 6
DEFAULT_WARMUP = 1
DEFAULT_REPEATS = 3

# Above this, six rounds of each engine take longer than most will wait; fewer rounds are only
# descriptive (``paired.MIN_ROUNDS``).
MANY_ROWS = 1_000_000
ROUNDS_OF_MANY = 3
DEFAULT_TIMEOUT_S = 1800.0
CACHE = Path("datasets/cache")
ADOPTED = Path("datasets/adopted")

# More processes than this seldom help one server on one machine.
MAX_DEFAULT_JOBS = 8

# Beyond these it is a typing error.
MAX_ROWS = 1_000_000_000
MAX_ROUNDS = 1000
MAX_JOBS = 64
MAX_TIMEOUT_S = 7 * 24 * 3600.0


def default_jobs() -> int:
    """Return the default of ``--jobs``: this machine's cores, up to a maximum."""
    return min(processor_count(), MAX_DEFAULT_JOBS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """The options of a run.

    With ``dataset``, an existing one, the options that generate one are unused. ``memray`` adds a
    pass after the trials that traces each engine's heap. ``traffic`` counts what passes between
    engine and server. An engine gets no further round once its trials have taken
    ``time_per_engine_s`` together. ``recorded`` are parameters that are only recorded.

    Raises:
        InputError: a value is invalid.
    """

    engines: tuple[Engine, ...]
    rows: int = DEFAULT_ROWS
    rounds: int = DEFAULT_ROUNDS
    warmup: int = DEFAULT_WARMUP
    repeats: int = DEFAULT_REPEATS
    jobs: int = field(default_factory=default_jobs)
    server: str = DEFAULT_SERVER
    server_profile: ServerProfile = DEFAULT_SERVER_PROFILE
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
    traffic: bool = False
    time_per_engine_s: float = math.inf
    recorded: Mapping[str, Parameter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _within("--rows", self.rows, 1, MAX_ROWS)
        if self.dataset is None:
            self.spec()  # it checks the other options of a dataset
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
        """Return the specification of the dataset to generate."""
        return DatasetSpec(
            scenario=self.scenario,
            rows=self.rows,
            seed=self.seed,
            faults=self.faults,
            style=self.style,
            compress=self.compress,
        )

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters to record; those of the dataset are recorded with it."""
        url = "://" in self.server
        return {
            "engines": [engine.name for engine in self.engines],
            "engine_commands": [
                output.redact(engine.given, ()) for engine in self.engines if engine.given
            ],
            "engine_settings": [
                output.redact(engine.settings, ()) for engine in self.engines if engine.settings
            ],
            "engine_versions": [
                f"{engine.name}: {engine.version}" for engine in self.engines if engine.version
            ],
            "rounds": self.rounds,
            "warmup": self.warmup,
            "repeats": self.repeats,
            "jobs": self.jobs,
            "server": "url" if url else self.server,  # a URL can hold a password
            "server_profile": AS_IT_IS if url else self.server_profile,
            "timeout_s": self.limits.timeout_s,
            "memory_limit_bytes": self.limits.memory_bytes,
            **({"memray": True} if self.memray else {}),
            **({"traffic": True} if self.traffic else {}),
            **(
                {"time_per_engine_s": self.time_per_engine_s}
                if math.isfinite(self.time_per_engine_s)
                else {}
            ),
            **self.recorded,
        }


def dataset_folder(path: Path) -> Path:
    """Return the dataset at ``path``, or the newest in that folder, or the adopted one so named.

    Raises:
        InputError: there is none.
    """
    if not path.exists() and path.name == str(path):
        path = ADOPTED / path
    if (path / MANIFEST).is_file():
        return path
    found = sorted(truth.parent for truth in path.glob(f"*/{MANIFEST}"))
    if not found:
        raise InputError(
            f"--dataset {path}: no dataset there (no {MANIFEST}); make one with: "
            f"python -m harness generate --rows {DEFAULT_ROWS} --out {path}, or adopt a backup"
        )
    return found[-1]


def engine(name: str, commands: tuple[Engine, ...] = ()) -> Engine:
    """Return the engine called ``name``: a fake one, a known one, or one of ``commands``.

    Raises:
        InputError: there is none.
    """
    if name.startswith(fake_engine.PREFIX):
        return fake_engine.engine(name)
    return engines.named(name, commands)


class _Parameters(msgspec.Struct):
    """The recorded parameters that are needed to repeat a run."""

    engines: list[str]
    rounds: int
    warmup: int
    jobs: int
    server: str
    timeout_s: float
    memory_limit_bytes: int | None = None
    server_profile: str = DEFAULT_SERVER_PROFILE
    repeats: int = DEFAULT_REPEATS
    engine_commands: list[str] = []
    engine_settings: list[str] = []
    engine_versions: list[str] = []
    memray: bool = False
    traffic: bool = False
    time_per_engine_s: float = math.inf


def options_from_run(
    run: Run,
    *,
    server: str | None = None,
    dataset: Path | None = None,
    results: Path | None = None,
) -> BenchOptions:
    """Return the options that repeat a recorded run.

    Args:
        run: the run.
        server: replaces the recorded kind; required for a URL, which is not recorded.
        dataset: the folder of the dataset, if it was not generated.
        results: the folder to record the new run in.

    Raises:
        InputError: the record is not sufficient; the message names what to add.
    """
    try:
        recorded = msgspec.convert(run.parameters, _Parameters)
    except msgspec.ValidationError as error:
        raise InputError(
            f"run {run.id} does not record its options ({error}); start a new run"
        ) from error
    if recorded.server == "url" and server is None:
        raise InputError(f"run {run.id} used a server of yours; name it with --server URL")
    own = (*recorded.engine_commands, *recorded.engine_settings)
    if any(output.HIDDEN in text for text in own):
        raise InputError(
            f"run {run.id} used a command with a password, which is not recorded; start a new run"
        )
    commands = (
        *(engines.command(text) for text in recorded.engine_commands),
        *(configured.recorded(text) for text in recorded.engine_settings),
    )
    chosen = tuple(engine(name, commands) for name in recorded.engines)
    versions = [f"{each.name}: {each.version}" for each in chosen if each.version]
    if changed := set(versions) ^ set(recorded.engine_versions):
        raise InputError(
            f"run {run.id} measured other versions ({', '.join(sorted(changed))}); start a new run"
        )
    generated = run.dataset
    if generated.content is not None and dataset is None:
        dataset = dataset_folder(ADOPTED / generated.scenario)
    return BenchOptions(
        engines=chosen,
        rows=generated.rows,
        scenario=generated.scenario,
        faults=generated.faults,
        seed=generated.seed,
        style=generated.style,
        compress=generated.compress,
        dataset=dataset,
        rounds=recorded.rounds,
        warmup=recorded.warmup,
        repeats=recorded.repeats,
        jobs=recorded.jobs,
        server=server or recorded.server,
        server_profile="stock" if recorded.server_profile == "stock" else "bulk",
        limits=Limits(recorded.timeout_s, recorded.memory_limit_bytes),
        results=results,
        memray=recorded.memray,
        traffic=recorded.traffic,
        time_per_engine_s=recorded.time_per_engine_s,
    )


def _within(option: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:  # also true for NaN
        raise InputError(f"{option} {value:g} is out of range; write {least:g} to {most:g}")
