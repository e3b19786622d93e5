"""The record of a run: one ``Run`` per ``bench``, with a ``Trial`` per engine and round.

A run of ``chaos`` has no trials but a ``Chaos``: its faults and findings.

The record is the contract between measuring and reading: raw figures, exit codes and parameters,
nothing derived. It imports nothing of the harness. Units come last in names; durations are in
seconds, sizes in bytes, times in UTC as ISO 8601.
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

# No measured figure is negative. A file with another one was changed by hand, or damaged.
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]

# A process takes time and memory: none of either is impossible, too, and has no ratio.
WallTime = Annotated[float, msgspec.Meta(gt=0)]
Peak = Annotated[int, msgspec.Meta(gt=0)]

# 2: ``noise`` and ``repeated`` of a trial. A reader of 1 would count repeated trials.
SCHEMA_VERSION = 2

# msgspec cannot read ``Raw | None`` back, so an engine that made no report has ``null``.
NO_REPORT = msgspec.Raw(b"null")


# The engine that the others of a run are measured against.
REFERENCE = "legacy"

# The same code with an older driver.
OLDER_REFERENCE = "legacy-psycopg2"

# The profile of a server that is not ours.
AS_IT_IS = "as it is"

# The engine whose time is the unit of relative times, if the run has it.
FLOOR = "floor"


class Status(enum.Enum):
    """The status of a trial. Only ``OK`` enters the statistics of speed and memory."""

    OK = "ok"
    WRONG_RESULT = "wrong_result"
    ERROR = "error"
    OOM = "oom"
    TIMEOUT = "timeout"
    KILLED = "killed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


class TableResult(msgspec.Struct, frozen=True, kw_only=True):
    """One table after a trial, as counted in the database, with the ground truth.

    ``right`` counts the rows that are in the ground truth too; None in runs that only counted rows.
    ``rejects_match`` is None if the engine keeps no rejects.
    """

    table: str
    expected: Count
    found: Count
    right: Count | None = None
    checksum_match: bool
    rejects_match: bool | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        """Raise if more rows are right than were expected."""
        if self.right is not None and self.right > self.expected:
            raise ValueError(f"{self.right} rows are right of {self.expected} expected")

    @property
    def restored(self) -> int:
        """Return the number of expected rows that arrived, or at most that number."""
        return min(self.found, self.expected) if self.right is None else self.right


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """Other activity during a trial; None if this system or server does not report it.

    ``load`` is the load average of the minute before it, ``other_cores`` the average number of
    cores used by processes other than the engine, the server and the harness, ``stolen_cores`` that
    of cores taken by the host, ``swapped_bytes`` what was swapped in or out, ``cached`` the share
    of the backup in the page cache before it, ``mhz`` and ``mhz_after`` the mean clock of the cores
    before and after, ``checkpoints`` the number of requested checkpoints.
    """

    load: float | None = None
    other_cores: float | None = None
    stolen_cores: float | None = None
    swapped_bytes: int | None = None
    cached: float | None = None
    mhz: float | None = None
    mhz_after: float | None = None
    checkpoints: int | None = None


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Memory over time: at most 64 points, each the highest of its interval.

    ``at_s`` counts from the start of the trial; both lists have a value for each point.
    """

    at_s: tuple[Seconds, ...]
    bytes: tuple[Count, ...]

    def __post_init__(self) -> None:
        """Raise if the lists do not belong together."""
        _check_points(self.at_s, self.bytes)


class CpuCurve(msgspec.Struct, frozen=True, kw_only=True):
    """Processor time used since the start of the trial: at most 64 points, each of an interval."""

    at_s: tuple[Seconds, ...]
    cpu_ms: tuple[Count, ...]

    def __post_init__(self) -> None:
        """Raise if the lists do not belong together."""
        _check_points(self.at_s, self.cpu_ms)


def _check_points(at_s: tuple[float, ...], values: tuple[int, ...]) -> None:
    if not at_s or len(at_s) != len(values):
        raise ValueError(f"a curve has {len(at_s)} times and {len(values)} values")


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One engine, one dataset, one process, one measurement.

    ``repeated`` means that it was noisy or interrupted, and a later trial counts instead.

    ``peak_bytes`` is the peak resident memory of the engine's process or, if it had children, the
    largest sampled memory of the process tree; ``peak_source`` says how it was measured.
    ``server_peak_bytes`` is that of the server; ``server_peak_source`` says how it was measured, or
    why it is unknown. In both, pages that processes share count once. ``total_peak_bytes`` is the
    largest sum of both at one time. The curves are both over time; ``cpu_curve`` and
    ``server_cpu_curve`` are the processor time of both; ``sent_curve`` and ``received_curve`` what
    has passed to and from the server, if that was counted. For ``TIMEOUT``, ``wall_s`` is a
    lower bound. ``differences`` says what beside the rows is not as it was before, in 20 lines at
    most; ``without_statistics`` names the tables that were not analyzed.
    """

    engine: str
    round: Count
    warmup: bool
    status: Status
    started_at: str
    wall_s: WallTime | None = None
    user_s: Seconds | None = None
    system_s: Seconds | None = None
    peak_bytes: Peak | None = None
    peak_source: str | None = None
    curve: Curve | None = None
    server_peak_bytes: Peak | None = None
    server_peak_source: str | None = None
    server_curve: Curve | None = None
    total_peak_bytes: Peak | None = None
    cpu_curve: CpuCurve | None = None
    server_cpu_curve: CpuCurve | None = None
    sent_curve: Curve | None = None
    received_curve: Curve | None = None
    exit_code: int | None = None
    signal: int | None = None
    detail: str | None = None
    noise: Noise | None = None
    repeated: bool = False
    tables: tuple[TableResult, ...] = ()
    differences: tuple[str, ...] = ()
    without_statistics: tuple[str, ...] = ()
    # A factory, since a JSON Schema cannot express a raw default.
    report: msgspec.Raw = msgspec.field(default_factory=lambda: NO_REPORT)

    @property
    def expected(self) -> int:
        """Return the number of rows that a perfect restore would load."""
        return sum(table.expected for table in self.tables)

    @property
    def restored(self) -> int:
        """Return the number of expected rows that arrived."""
        return sum(table.restored for table in self.tables)


class HeapFunction(msgspec.Struct, frozen=True, kw_only=True):
    """The share of a function in a heap at its peak, and its line that allocated most.

    Files are named without a machine's folders; None is an allocation outside of Python.
    """

    function: str
    bytes: Count
    file: str | None = None
    line: int | None = None


class Heap(msgspec.Struct, frozen=True, kw_only=True):
    """An engine's heap as traced by memray, in a pass after the trials, not in the statistics.

    ``peak_bytes`` is the sum of the heap peaks of its ``processes``; ``functions`` are those that
    held most of it. ``flame_graph`` is a file beside the run's. ``detail`` describes an error.
    """

    engine: str
    status: Status
    detail: str | None = None
    processes: Count = 0
    peak_bytes: Count | None = None
    allocations: Count | None = None
    functions: tuple[HeapFunction, ...] = ()
    flame_graph: str | None = None


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """The dataset of a run: the arguments that generate it again, byte for byte.

    ``content`` is the hash of an adopted backup, which is not generated.
    """

    scenario: str
    rows: Count
    seed: int
    faults: str
    style: str
    compress: str
    generator: str
    records: Count
    json_bytes: Count
    content: str | None = None


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """The PostgreSQL server of a run, and why it was chosen.

    ``profile`` is ``stock`` or ``bulk``, or ``as it is`` for a server of the user's.
    """

    kind: str
    reason: str
    version: str
    settings: dict[str, str]
    image: str | None = None
    image_digest: str | None = None
    profile: str | None = None

    @property
    def profile_name(self) -> str:
        """Return the profile; the first runs recorded none, when there was one."""
        return self.profile or (AS_IT_IS if self.kind == "external" else "bulk")


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The machine and the software, which must be equal to compare absolute times.

    ``tree`` is the git id of the files as they ran, if they differ from the commit (``dirty``).
    """

    cpu: str
    cores: int
    memory_bytes: Count
    os: str
    python: str
    packages: dict[str, str]
    commit: str | None
    dirty: bool | None
    tree: str | None = None
    source: str


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """One fault injected into a running restore, and how the restorer recovered.

    ``at_s`` counts from the start of the process that it hit. ``exit_code`` is None if that process
    reconnected, negative if a signal ended it. ``resumed_after_s`` is the time from the fault until
    the start of a restore that did not fail, after ``attempts`` attempts.
    """

    cycle: int
    kind: str
    at_s: float
    hit: str
    exit_code: int | None = None
    attempts: int = 0
    resumed_after_s: float | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A deviation found after a cycle, and how many records or objects are affected.

    ``what`` is ``lost`` or ``twice`` (records), ``schema``, ``sequence``, ``leftover``, ``rejects``
    (files that cannot be read) or ``stuck`` (the restore did not finish).
    """

    cycle: int
    what: str
    count: int
    detail: str


class Cycle(msgspec.Struct, frozen=True, kw_only=True):
    """One database restored to the end; number 0, without faults, is the reference."""

    number: int
    wall_s: Seconds
    starts: Count
    exit_code: int | None


class Chaos(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign of fault injection.

    ``left_out`` names the kinds of fault that are not available here, and why; ``missed`` counts
    the faults, by kind, that never found a target.
    """

    kills_wanted: int
    left_out: dict[str, str] = {}
    missed: dict[str, int] = {}
    cycles: tuple[Cycle, ...] = ()
    kills: tuple[Kill, ...] = ()
    findings: tuple[Finding, ...] = ()

    def found(self, what: str) -> int:
        """Return the sum of the counts of one kind of finding."""
        return sum(finding.count for finding in self.findings if finding.what == what)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A set of trials made together; ``finished_at`` is None if it is running or unfinished."""

    schema: int = SCHEMA_VERSION
    id: str
    started_at: str
    finished_at: str | None = None
    parameters: dict[str, str | int | float | bool | list[str] | None]
    dataset: Dataset
    server: Server
    environment: Environment
    trials: tuple[Trial, ...] = ()
    heaps: tuple[Heap, ...] = ()
    chaos: Chaos | None = None
