"""Counts of a restore per table and in total: the engine report of docs/interfaces.md."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import msgspec

from restore.report.reasons import Level
from restore.text import clip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from restore.report.reasons import Reason

SCHEMA = 2
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
# Distinct reasons per table; all others are counted as one.
MOST_REASONS = 20
OTHER_REASONS = "other reasons"
_EXAMPLE = 300
# Fields without a column that are named per table, and the length of a name. A row that is loaded
# alone updates these counts, so they stay small.
MOST_UNKNOWN = 50
LONGEST_NAME = 100


class Levels(msgspec.Struct, kw_only=True):
    """Rows by how they were loaded. See docs/restore.md#the-ladder."""

    batch: int = 0
    split: int = 0
    row: int = 0
    literal: int = 0

    @property
    def total(self) -> int:
        """Rows loaded at any level."""
        return self.batch + self.split + self.row + self.literal


class ReasonCount(msgspec.Struct, kw_only=True):
    """Records refused for one reason, and the place of the first.

    ``reason`` has no values, which differ from record to record; ``example`` is a whole message.
    """

    reason: str
    kind: str
    sqlstate: str | None = None
    count: int = 0
    example: str = ""
    first_ordinal: int | None = None
    first_offset: int | None = None


class TableReport(msgspec.Struct, kw_only=True):
    """One table's counts. ``read = loaded + duplicates + rejected``, always.

    ``loaded`` is the sum of ``levels`` less ``taken_out``: orphans that were removed after the load
    and count as rejected. ``replaced`` of the loaded rows replaced others; ``skipped`` of the
    duplicates were skipped by --on-conflict skip and are not in the rejects. ``late``: records that
    lack a value of a sequence and are loaded last; they count as read then. ``unknown_fields``: the
    first fields without a column, each with its number of records; ``other_unknown_fields``: the
    occurrences of all others. ``changed``: values that an option changed, by ``column: option``.
    ``cut_off``: the file is truncated, so records may be missing that cannot be counted.
    ``error``: why the table's load stopped.
    """

    table: str
    schema: str
    file: str
    read: int = 0
    levels: Levels = msgspec.field(default_factory=Levels)
    taken_out: int = 0
    duplicates: int = 0
    rejected: int = 0
    replaced: int = 0
    skipped: int = 0
    late: int = 0
    loaded: int = 0
    wall_s: float = 0.0
    cut_off: bool = False
    rejects: str | None = None
    error: str | None = None
    warnings: list[str] = []
    unknown_fields: dict[str, int] = {}
    other_unknown_fields: int = 0
    changed: dict[str, int] = {}
    reasons: list[ReasonCount] = []

    def count_loaded(self, level: Level, rows: int) -> None:
        """Count rows loaded at a level."""
        setattr(self.levels, level, getattr(self.levels, level) + rows)
        self.loaded += rows

    def count_reject(self, reason: Reason, ordinal: int | None, offset: int | None) -> None:
        """Count a reject and its reason."""
        if reason.duplicate:
            self.duplicates += 1
        else:
            self.rejected += 1
        self.count_reason(reason, ordinal, offset)

    def count_reason(self, reason: Reason, ordinal: int | None, offset: int | None) -> None:
        """Count one more record for a reason."""
        self._add_reason(
            ReasonCount(
                reason=reason.group,
                kind=reason.kind,
                sqlstate=reason.sqlstate,
                count=1,
                first_ordinal=ordinal,
                first_offset=offset,
                example=reason.line[:_EXAMPLE],
            )
        )

    def _add_reason(self, one: ReasonCount) -> None:
        """Add to a reason's count, which keeps its first example, or to that of other reasons."""
        known = self._reason(one.kind, one.sqlstate, one.reason)
        if known is None and len(self.reasons) >= MOST_REASONS:
            one = msgspec.structs.replace(one, sqlstate=None, reason=OTHER_REASONS)
            known = self._reason(one.kind, one.sqlstate, one.reason)
        if known is None:
            self.reasons.append(one)
        else:
            known.count += one.count

    def _reason(self, kind: str, sqlstate: str | None, group: str) -> ReasonCount | None:
        wanted = (kind, sqlstate, group)
        return next((r for r in self.reasons if (r.kind, r.sqlstate, r.reason) == wanted), None)

    def count_unknown(self, names: Iterable[str], records: int = 1) -> None:
        """Count records with fields that have no column; a negative number uncounts them."""
        known = self.unknown_fields
        for field in (clip(name, LONGEST_NAME) for name in names):
            count = known.get(field, 0) + records
            if field not in known and len(known) >= MOST_UNKNOWN:
                self.other_unknown_fields += records
            elif count or self.other_unknown_fields:  # one that was counted as another stays
                known[field] = count
            else:
                known.pop(field, None)

    def count_changes(self, changes: Iterable[str], records: int = 1) -> None:
        """Count values that an option changed, each ``column: option``."""
        for change in changes:
            count = self.changed.get(change, 0) + records
            if count:
                self.changed[change] = count
            else:
                self.changed.pop(change, None)

    def count_skipped(self, rows: int) -> None:
        """Count records that were skipped because their keys exist."""
        self.skipped += rows
        self.duplicates += rows

    @property
    def accounted(self) -> int:
        """Records whose outcome is known."""
        return self.loaded + self.duplicates + self.rejected

    def count_taken_out(self, rows: int) -> None:
        """Count orphans that were removed from the table."""
        self.taken_out += rows
        self.loaded -= rows
        self.rejected += rows

    def uncount_loaded(self, rows: int) -> None:
        """Uncount rows that were removed to be loaded again; their records stay read."""
        left = rows
        for level in get_args(Level):
            here = min(left, getattr(self.levels, level))
            self.count_loaded(level, -here)
            left -= here
        if left:
            raise AssertionError(f"{self.table}: more rows were removed than loaded")

    @property
    def passed(self) -> int:
        """Records that were read or deferred."""
        return self.read + self.late

    def add(self, shard: TableReport, before: int = 0) -> None:
        """Add the counts of a shard that has ``before`` records before it."""
        for one in shard.reasons:
            first = None if one.first_ordinal is None else one.first_ordinal + before
            self._add_reason(msgspec.structs.replace(one, first_ordinal=first))
        self._add_counts(shard, ("read", "taken_out", "duplicates", "rejected", "late"))
        self.loaded -= shard.taken_out
        self.other_unknown_fields += shard.other_unknown_fields
        self.warnings += [line for line in shard.warnings if line not in self.warnings]
        self.cut_off = self.cut_off or shard.cut_off
        self.error = self.error or shard.error

    def _add_counts(self, other: TableReport, names: tuple[str, ...]) -> None:
        for name in (*names, "replaced", "skipped"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for level in get_args(Level):
            self.count_loaded(level, getattr(other.levels, level))
        for field, count in other.unknown_fields.items():
            self.count_unknown([field], count)
        for change, count in other.changed.items():
            self.count_changes([change], count)

    def note_change(self, change: str | None) -> None:
        """Record how the file changed while it was read, if it did."""
        if change is not None:
            self.cut_off = True
            self.warnings.append(f"{self.file} {change}")

    def count_retried(self, tried: TableReport, may_go_away: Callable[[str | None], bool]) -> None:
        """Count the second try of rejects whose SQLSTATE may go away."""
        self.rejected += tried.rejected - tried.read
        self._add_counts(tried, ("duplicates",))
        self.reasons = [each for each in self.reasons if not may_go_away(each.sqlstate)]
        for one in tried.reasons:
            self._add_reason(one)
        # Beyond the limit of reasons, that of some loaded records is not known.
        surplus = sum(r.count for r in self.reasons) - self.rejected - self.duplicates
        for one in self.reasons:
            if one.reason == OTHER_REASONS:
                one.count -= max(0, surplus + self.skipped)

    @contextlib.contextmanager
    def rollback_on_error(self) -> Iterator[None]:
        """Restore the counts if the block raises."""
        before = msgspec.json.encode(self)
        try:
            yield
        except BaseException:
            self.become(msgspec.json.decode(before, type=TableReport))
            raise

    def reset(self) -> None:
        """Reset all counts before the table is loaded again from its beginning."""
        self.become(TableReport(table=self.table, schema=self.schema, file=self.file))

    def become(self, other: TableReport) -> None:
        """Take over the counts of another report."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(other, name))


class Report(msgspec.Struct, kw_only=True):
    """A whole restore.

    ``target`` names the database, its host and the role, never a password. ``stale``: materialized
    views over the restored tables. ``loose_matches``: files whose tables, and fields whose columns,
    have similar names, not the same. ``nested_relations``: fields that hold objects and have no
    column; they are left out. ``null_columns``: those that hold NULL, not their defaults, in
    records without them, as the file seems to leave out nulls. ``next_steps``: what to type now.
    ``native``: C packed the records if their columns' types allow it. ``resumable``: the restore
    stopped, and --resume continues it. ``needs_repair``: it stopped, and indexes, keys or triggers
    are dropped, which ``repair`` recreates. ``upload_error``: the rejects could not be written to
    the store that they belong into; they are in the folder that ``rejects`` names.
    """

    schema: int = SCHEMA
    engine: str = "restore"
    backup: str
    target: str = ""
    server: str = ""
    dry_run: bool = False
    native: bool = False
    wall_s: float = 0.0
    peak_bytes: int | None = None
    tables: list[TableReport] = []
    left_out: list[str] = []
    stale: list[str] = []
    loose_matches: dict[str, str] = {}
    nested_relations: list[str] = []
    null_columns: list[str] = []
    warnings: list[str] = []
    rejects: str | None = None
    next_steps: list[str] = []
    error: str | None = None
    resumable: bool = False
    needs_repair: bool = False
    upload_error: str | None = None

    @property
    def lost(self) -> int:
        """Records in the rejects: rejected ones and duplicates, without skipped ones."""
        return sum(table.rejected + table.duplicates - table.skipped for table in self.tables)

    @property
    def complete(self) -> bool:
        """Whether every record of the backup is in the database."""
        return not (self.error or self.lost or any(table.cut_off for table in self.tables))


def peak_bytes() -> int | None:
    """Return this process's peak resident memory; None if there is no ``/proc``.

    Source: VmHWM in ``/proc/self/status``, proc(5).
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    match = _PEAK.search(status)
    return int(match[1]) * 1024 if match else None
