"""The measured costs of a restore, per record, and the file that holds them.

Processor time is in seconds of one core. Sizes are in bytes. Both are per record of the table,
unless the name says otherwise. The server's are as they were measured, statement by statement;
``server_factor`` makes them those of whole restores.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from harness.model.errors import InputError

FORMAT_VERSION = 1
STORED = Path(__file__).with_name("costs.json")
# The same measurement at another time: how far the two differ is how well it can be repeated.
REPEATED = Path(__file__).with_name("costs-repeated.json")

# ANALYZE reads 300 rows for each unit of default_statistics_target, which is 100.
ANALYZED_ROWS = 30_000
# tuplesort.c holds a tuple in memory with this much beside it: its SortTuple and its header.
SORT_OVERHEAD_BYTES = 32


class Sorted(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of a statement that sorts or hashes a table.

    A record costs ``s + log2_s * log2(n)``, with ``n`` the records that are sorted at once: all, or
    as many as fit in memory. The second part is more than comparisons: what is sorted outgrows the
    caches. ``merge_s`` is what it costs in addition if not all fit. ``bytes`` is what is kept of a
    record: the size of an index, or of a key in the hash table of a validation.
    """

    name: str
    s: float
    log2_s: float
    merge_s: float
    bytes: float

    def spills(self, records: float, memory_bytes: float) -> bool:
        """Return whether so many records do not fit in memory."""
        return records > self.at_once(memory_bytes)

    def at_once(self, memory_bytes: float) -> float:
        """Return how many records fit in memory."""
        return memory_bytes / (self.bytes + SORT_OVERHEAD_BYTES)

    def at(self, records: float, memory_bytes: float) -> float:
        """Return the seconds for so many records."""
        sorted_at_once = max(min(records, self.at_once(memory_bytes)), 2)
        each_s = max(self.s + self.log2_s * math.log2(sorted_at_once), 0.0)
        return records * (each_s + self.merge_s * self.spills(records, memory_bytes))


class Index(Sorted, frozen=True, kw_only=True):
    """An index; ``unique`` ones are built first, one after the other."""

    unique: bool


class TableCosts(msgspec.Struct, frozen=True, kw_only=True):
    """One table.

    ``share`` is its share of all records. ``heap_s`` is a COPY without WAL; ``wal_s`` what a COPY
    with WAL costs in addition; ``frozen_s`` a COPY with FREEZE in the transaction that truncated
    the table, at ``wal_level=minimal``. ``analyze_s`` is per row that ANALYZE reads.
    """

    table: str
    share: float
    json_bytes: float
    row_bytes: float
    heap_bytes: float
    wal_bytes: float
    heap_s: float
    wal_s: float
    frozen_s: float
    analyze_s: float
    indexes: tuple[Index, ...]
    foreign_keys: tuple[Sorted, ...]


class ClientCosts(msgspec.Struct, frozen=True, kw_only=True):
    """The restorer, per record of all tables, in seconds of its machine's cores.

    ``send_s`` is what is not reading or decoding: sending, and what Python does for each batch. The
    interpreter's lock is held for part of it at most. ``gz_s`` and ``zst_s`` are what decompression
    costs in addition.
    """

    read_s: float
    decode_s: float
    send_s: float
    gz_s: float
    zst_s: float

    @property
    def s(self) -> float:
        """Return the seconds for a record of a backup that is not compressed."""
        return self.read_s + self.decode_s + self.send_s


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when the proportions of the costs were measured, statement by statement.

    ``totals_cpu`` is the processor of the whole restores that gave the totals.
    """

    measured_at: str
    cpu: str
    cores: int
    memory_bytes: int
    postgresql: str
    totals_cpu: str
    commit: str | None


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """All costs. ``sizes`` are the numbers of records at which they were measured.

    ``client_fixed_s`` and ``server_fixed_s`` are the processor time of a restore of no records:
    start of Python, catalogs, keys dropped and added again. ``server_factor`` is the server's
    processor time in whole restores, relative to that of the same statements one by one, on the
    machine where these were measured. ``parallel`` is the share of an index build that parallel
    workers divide.
    """

    version: int = FORMAT_VERSION
    machine: Machine
    scenario: str
    sizes: tuple[int, int]
    client: ClientCosts
    client_fixed_s: float
    server_fixed_s: float
    server_factor: float
    parallel: float
    tables: tuple[TableCosts, ...]

    def mean(self, field: str) -> float:
        """Return the mean of a field of the tables, per record of all."""
        return sum(table.share * float(getattr(table, field)) for table in self.tables)


def load(path: Path = STORED) -> Costs:
    """Read costs.

    Raises:
        InputError: the file is missing, or holds no costs of this version.
    """
    try:
        costs = msgspec.json.decode(path.read_bytes(), type=Costs)
    except OSError as error:
        raise InputError(
            f"cannot read the costs {path}: {error.strerror}; measure them by --measure"
        ) from error
    except msgspec.DecodeError as error:
        raise InputError(f"{path} holds no costs: {error}; measure them by --measure") from error
    if costs.version != FORMAT_VERSION:
        raise InputError(
            f"{path} has version {costs.version}, not {FORMAT_VERSION}; measure again by --measure"
        )
    return costs


def save(costs: Costs, path: Path) -> None:
    """Write costs, so that a person can read them.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(costs), indent=1) + b"\n")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another file") from error
