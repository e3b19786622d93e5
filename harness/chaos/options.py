"""The options of a campaign, with every bound checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harness.chaos import dask_cluster, store
from harness.chaos.faults import KINDS, default_kinds, possible_kinds
from harness.engines import registry as engines
from harness.engines.engine import Engine
from harness.generate import DatasetSpec
from harness.model.errors import InputError

DEFAULT_ROWS = 20_000
DEFAULT_KILLS = 25
DEFAULT_JOBS = 2
CACHE = Path("datasets/cache")
MAX_ROWS = 100_000_000
MAX_KILLS = 10_000
MAX_JOBS = 64

# Options for the restorer in addition to those of every engine: to resume when called again.
_RESUMING = ("--clean", "--resume", "--retry-for={retry_for}")
EXECUTORS = ("threads", "dask")


def resuming(executor: str = "threads") -> Engine:
    """Return the restorer with the options to resume when called again."""
    own, other = engines.named("restore"), executor != "threads"
    template = (*own.template, *_RESUMING, *["--executor={executor}"] * other)
    return Engine(name=own.name, template=template, keeps_rejects=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosOptions:
    """The options of a campaign.

    Attributes:
        rows: rows of the dataset, over all tables.
        kills: number of faults to inject.
        seed: seed of the faults and their times.
        faults: the dataset's fault profile.
        kinds: the kinds of fault to choose from.
        engine: the engine to test; it must keep rejects.
        executor: what loads: ``threads`` of the restorer, or a ``dask`` cluster of the campaign.
        jobs: connections that it may use.
        keep: folder for the logs and rejects of cycles with findings.
        results: the folder of the history.

    Raises:
        InputError: a value is invalid.
    """

    rows: int = DEFAULT_ROWS
    kills: int = DEFAULT_KILLS
    seed: int = 0
    faults: str = "realistic"
    kinds: tuple[str, ...] = default_kinds("threads")
    engine: Engine = field(default_factory=resuming)
    executor: str = "threads"
    jobs: int = DEFAULT_JOBS
    keep: Path | None = None
    results: Path | None = None
    cache: Path = CACHE

    def __post_init__(self) -> None:
        for name, value, most in (
            ("--rows", self.rows, MAX_ROWS),
            ("--kills", self.kills, MAX_KILLS),
            ("--jobs", self.jobs, MAX_JOBS),
        ):
            if not 1 <= value <= most:
                raise InputError(f"{name} {value} is out of range; write 1 to {most}")
        if self.executor == "dask":
            dask_cluster.check_available()
        possible = possible_kinds(self.executor)
        unknown = [kind for kind in self.kinds if kind not in possible]
        if unknown or not self.kinds:
            raise InputError(
                f"--kinds {','.join(unknown)!r} is not a kind of fault; "
                f"choose from {', '.join(possible)}"
            )
        if self.reads_from_store:
            store.check_available()
        if not self.engine.keeps_rejects:
            raise InputError(
                "--engine-command: a campaign needs the rejects; "
                "let the command write them to {rejects}"
            )
        self.spec()  # it checks the other options

    def spec(self) -> DatasetSpec:
        """Return the dataset to generate; ``seed`` is that of the faults, not of the rows."""
        return DatasetSpec(rows=self.rows, faults=self.faults)

    @property
    def reads_from_store(self) -> bool:
        """Return whether the engine reads the backup from a web server of the campaign."""
        return any(KINDS[kind].needs_store for kind in self.kinds)

    def parameters(self) -> dict[str, str | int | float | bool | list[str] | None]:
        """Return the parameters to record; those of the dataset are recorded with it."""
        return {
            "kills": self.kills,
            "chaos_seed": self.seed,
            "kinds": list(self.kinds),
            "engines": [self.engine.name],
            "jobs": self.jobs,
            "executor": self.executor,
        }

    def command(
        self, dsn: str, backup: str, work: Path, rejects: Path, executor: str
    ) -> tuple[str, ...]:
        """Return the engine's command line, with ``{retry_for}`` still to be filled in."""
        values = {
            "backup": backup,
            "dsn": dsn,
            "report": str(work / "report.json"),
            "rejects": str(rejects),
            "jobs": str(self.jobs),
            "retry_for": "{retry_for}",
            "executor": executor,
        }
        return self.engine.argv(values)
