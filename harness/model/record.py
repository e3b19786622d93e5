"""What is recorded: one ``Run`` per ``bench``, a ``Trial`` for each engine on each round.

A run of ``chaos`` has no trials but a ``Chaos``: what was killed, and what came of it.

This is the contract between what measures and what reads measurements: raw figures, exit codes and
parameters, nothing derived. It imports nothing of the harness. Units stand last in the names; times
are in seconds, sizes in bytes, instants in UTC as ISO 8601.
"""

from __future__ import annotations

import enum

import msgspec

# 2: ``noise`` and ``repeated`` of a trial. A reader of 1 would count trials that do not count.
SCHEMA_VERSION = 2

# msgspec cannot read ``Raw | None`` back, so an engine that made no report has ``null``.
NO_REPORT = msgspec.Raw(b"null")


# The engine that the others of a run are measured against.
REFERENCE = "legacy"

# The engine whose time is the unit of relative times, if the run has it.
FLOOR = "floor"


class Status(enum.Enum):
    """How a trial ended. Only ``OK`` enters the statistics of speed and memory."""

    OK = "ok"
    WRONG_RESULT = "wrong_result"
    ERROR = "error"
    OOM = "oom"
    TIMEOUT = "timeout"
    KILLED = "killed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


class TableResult(msgspec.Struct, frozen=True, kw_only=True):
    """One table after a trial, as counted in the database, beside the ground truth.

    ``restored`` is the number of rows that belong there and arrived: ``found`` capped at
    ``expected``. ``rejects_match`` is None where the engine keeps no rejects.
    """

    table: str
    expected: int
    found: int
    checksum_match: bool
    rejects_match: bool | None = None
    error: str | None = None

    @property
    def restored(self) -> int:
        """Rows that arrived of those that should have."""
        return min(self.found, self.expected)


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """What else went on while a trial ran; None is what this system or server does not tell.

    ``load`` is the load average of the last minute before it, ``other_cores`` the cores that
    processes other than the engine, the server and the harness kept busy on average,
    ``stolen_cores`` those that the host took away, ``swapped_bytes`` what went to swap or came from
    it, ``cached`` the share of the backup that the page cache held before it, ``mhz`` and
    ``mhz_after`` the mean clock of the cores before and after, ``checkpoints`` those that the
    server was forced to or asked for.
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
    """Memory over time, thinned: at most 64 points, each the highest of its stretch of time.

    ``at_s`` counts from the start of the trial; both have a value for each point.
    """

    at_s: tuple[float, ...]
    bytes: tuple[int, ...]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One engine, one dataset, one process, one measurement.

    ``repeated`` says that it was made again, because it was too noisy or was interrupted: a later
    one counts instead.

    ``peak_bytes`` is the peak resident memory of the engine's process (``VmHWM``), or, where it had
    children, the largest sum over the process tree that was sampled (``peak_source`` says which).
    ``server_peak_bytes`` is the server's, apart from it; ``server_peak_source`` says how it was
    come by, or why it is not known. The curves are what both held over time.
    A trial that is ``TIMEOUT`` has in ``wall_s`` a lower bound.
    """

    engine: str
    round: int
    warmup: bool
    status: Status
    started_at: str
    wall_s: float | None = None
    user_s: float | None = None
    system_s: float | None = None
    peak_bytes: int | None = None
    peak_source: str | None = None
    curve: Curve | None = None
    server_peak_bytes: int | None = None
    server_peak_source: str | None = None
    server_curve: Curve | None = None
    exit_code: int | None = None
    signal: int | None = None
    detail: str | None = None
    noise: Noise | None = None
    repeated: bool = False
    tables: tuple[TableResult, ...] = ()
    # Made anew, as a JSON Schema cannot tell a default that is raw.
    report: msgspec.Raw = msgspec.field(default_factory=lambda: NO_REPORT)

    @property
    def expected(self) -> int:
        """Rows that a perfect restore would have put into the database."""
        return sum(table.expected for table in self.tables)

    @property
    def restored(self) -> int:
        """Rows that arrived of those that should have."""
        return sum(table.restored for table in self.tables)


class HeapFunction(msgspec.Struct, frozen=True, kw_only=True):
    """What a function held of a heap at its peak, and the line of it that had asked for the most.

    Files are named without a machine's folders; None is what was asked for outside of Python.
    """

    function: str
    bytes: int
    file: str | None = None
    line: int | None = None


class Heap(msgspec.Struct, frozen=True, kw_only=True):
    """What memray saw of an engine, in a pass after the trials that enters no statistics.

    ``peak_bytes`` is the peak of the heap of each of its ``processes``, added up; ``functions`` are
    those that held the most of it. ``flame_graph`` is a file beside the run's. ``detail`` says what
    went wrong, if something did.
    """

    engine: str
    status: Status
    detail: str | None = None
    processes: int = 0
    peak_bytes: int | None = None
    allocations: int | None = None
    functions: tuple[HeapFunction, ...] = ()
    flame_graph: str | None = None


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """Which dataset a run used; the arguments that make it again, byte for byte."""

    scenario: str
    rows: int
    seed: int
    faults: str
    style: str
    compress: str
    generator: str
    records: int
    json_bytes: int


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Which PostgreSQL a run used, and why that one."""

    kind: str
    reason: str
    version: str
    settings: dict[str, str]
    image: str | None = None
    image_digest: str | None = None


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The machine and the software: what must be equal before absolute times may be compared."""

    cpu: str
    cores: int
    memory_bytes: int
    os: str
    python: str
    packages: dict[str, str]
    commit: str | None
    dirty: bool | None
    source: str


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """One fault that was put into a restore while it ran, and what the restorer made of it.

    ``at_s`` counts from the start of the process that it hit. ``exit_code`` is None where that
    process went on by itself; minus a signal's number where that ended it. ``resumed_after_s`` is
    the time from the fault until a restore ran again that did not fail, after ``attempts`` starts.
    """

    cycle: int
    kind: str
    at_s: float
    hit: str
    exit_code: int | None = None
    attempts: int = 0
    resumed_after_s: float | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it should be after a cycle; ``count`` is of records for two kinds.

    ``what`` is ``lost`` or ``twice`` (records), ``schema``, ``sequence``, ``leftover``, ``rejects``
    (files that cannot be read) or ``stuck`` (the restore could not be brought to its end).
    """

    cycle: int
    what: str
    count: int
    detail: str


class Cycle(msgspec.Struct, frozen=True, kw_only=True):
    """One database restored to its end; the one without a kill, number 0, is the yardstick."""

    number: int
    wall_s: float
    starts: int
    exit_code: int | None


class Chaos(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign of fault injection.

    ``left_out`` names the kinds of fault that could not be had here, and why; ``missed`` counts the
    faults, by kind, that found nothing to hit however often they were tried.
    """

    kills_wanted: int
    left_out: dict[str, str] = {}
    missed: dict[str, int] = {}
    cycles: tuple[Cycle, ...] = ()
    kills: tuple[Kill, ...] = ()
    findings: tuple[Finding, ...] = ()

    def found(self, what: str) -> int:
        """Count what was found of one sort."""
        return sum(finding.count for finding in self.findings if finding.what == what)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A set of trials made together; ``finished_at`` is None while it runs or if it was cut off."""

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
