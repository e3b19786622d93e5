"""Options of a restore and their bounds."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from restore.errors import BackupError
from restore.remote.path import to_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from restore.remote.path import BackupPath

OnConflict = Literal["reject", "skip", "replace"]
UnknownFields = Literal["error", "ignore", "warn"]
NameMatch = Literal["loose", "exact"]
AbsentFields = Literal["auto", "default", "null"]
OnError = Literal["continue", "stop"]
JsonStrings = Literal["auto", "parse", "keep"]
Bytea = Literal["auto", "hex", "base64"]
Nul = Literal["reject", "remove", "replace"]
NullOrReject = Literal["reject", "null"]
Fraction = Literal["reject", "round"]
EpochUnit = Literal["s", "ms", "us", "ns"]

# A batch is the whole records of one chunk: this bounds memory, and what one bad record costs its
# batch. Neither half nor twice of it changed the time of a clean restore beyond noise; it is not
# less, so that a distant server has fewer round trips.
DEFAULT_CHUNK_BYTES = 1 << 18
_SMALLEST_CHUNK_BYTES = 1 << 10
_LARGEST_CHUNK_BYTES = 1 << 28
_LARGEST_BATCH = 1_000_000
MOST_JOBS = 64
# Each takes a connection and some 45 MB, and from here on the server rather than we sets the pace.
_MOST_JOBS_BY_DEFAULT = 8
# Day, month and year, each once, with the same separator between them or none.
DATE_FORMAT = re.compile(
    r"(?!.*(DD|MM|YYYY).*\1)(?P<first>DD|MM|YYYY)(?P<separator>[-/. ]?)(?P<second>DD|MM|YYYY)"
    r"(?P=separator)(?P<third>DD|MM|YYYY)"
)
EXECUTOR = re.compile(r"threads|dask|(?P<scheme>dask|tls)://(?P<address>[^/@\s]+:\d+)")
_MAX_REJECTS = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<percent>%?)")


@dataclass(frozen=True, slots=True)
class MaxRejects:
    """Limit of rejects: a count, or a share of the records read in percent."""

    count: int | None = None
    percent: float | None = None

    @classmethod
    def parse(cls, text: str) -> MaxRejects:
        """Read ``100`` or ``2.5%``.

        Raises:
            BackupError: it is neither.
        """
        match = _MAX_REJECTS.fullmatch(text.strip())
        if match is None or (not match["percent"] and "." in match["number"]):
            raise BackupError(f"--max-rejects {text!r}: give a count, 100, or a share, 2.5%")
        if not match["percent"]:
            return cls(count=int(match["number"]))
        if float(match["number"]) > 100:  # noqa: PLR2004 - percent
            raise BackupError(f"--max-rejects {text!r}: a share is at most 100%")
        return cls(percent=float(match["number"]))

    def __str__(self) -> str:
        return f"{self.percent:g}%" if self.count is None else f"{self.count:,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Input, target and bounds of a restore.

    Args:
        backup: a backup folder, a root of timestamped ones, one table file, one file that holds
            several tables, an archive, a URL of one of these (``s3://bucket/backups``), or ``-``
            for standard input.
        dsn: a libpq connection string or URL; empty: libpq's own variables and files.
        rejects: the folder for records that could not be restored; None: a new one under
            ``rejects/``, named for the backup and the time. From there they are uploaded at the
            end if this is a URL.
        schema: the schema of the tables; None: as the search path finds them.
        tables: restore only these tables; empty: all.
        exclude: tables whose files are left out.
        map: table names (``app_users``, ``public.app_users``) by the name of a file, with or
            without its endings, or by the key of a file that holds several tables.
        format: the format of the files; None: it is recognised by what they hold.
        map_column: columns by ``TABLE.FIELD``, for fields of other names.
        match: match files to tables and fields to columns by similar names too, or by exact ones
            alone.
        clean: empty the backup's tables first, and no others.
        cascade: with ``clean``, empty also the tables that refer to them.
        append: load beside existing rows.
        on_conflict: with ``append``, what to do with a record whose key exists: reject it, skip
            it, or replace the row.
        dry_run: do everything but write.
        atomic: all or nothing, in one transaction and connection: others see what was there before
            until it is done, and what was there stays if it fails.
        resume: continue an unfinished restore.
        create: create the backup's tables, none of which exists, by a schema inferred from it.
        retry_for_s: seconds to wait for the server after a lost connection, before the restore
            stops; once the server answers, the restore continues.
        unknown_fields: what to do with a field that has no column: stop, or leave it out, with or
            without a warning.
        absent_fields: what a column that has a default and may be NULL holds if a record lacks its
            field: the default, or NULL; by itself NULL if the file seems to leave out all nulls.
        max_rejects: stop if there are more rejects; None: never.
        on_error: continue after a reject, or stop at the first.
        triggers: let the tables' own triggers fire during the load.
        keep_indexes: leave indexes and unique keys in place during the load.
        timezone: the zone of times that have none.
        epoch: the unit of numbers that are instants or intervals, by ``table.column``, or for all
            columns under an empty name; without one it is inferred, or asked for.
        date_format: how dates are written that are not in the order of ISO 8601: DD/MM/YYYY.
        json_strings: parse strings in json and jsonb columns, or keep them as strings; ``auto``:
            parse a column's if all of its first ones hold an object or an array.
        bytea: how text is read in bytea columns that may be hex or base64.
        nul: what to do with the character NUL in a text, which PostgreSQL has no room for.
        empty_string: load empty strings in non-text columns as NULL.
        zero_date: load MySQL's dates 0000-00-00 as NULL.
        fraction: round digits of a second that a column has no room for.
        batch_size: records sent as one COPY; None: as many as ``chunk_bytes`` holds.
        chunk_bytes: how much of a file is decoded, and sent as one COPY, at a time.
        lock_timeout_s: seconds to wait for a lock that another session holds.
        jobs: how many connections load, each from a thread; None: as many as this machine has
            processors for them, at most 8, or the cluster has threads.
        executor: what loads: ``threads`` of this process, the workers of a Dask cluster
            (``dask://host:port`` or ``tls://host:port``), or of one started for it (``dask``).

    Raises:
        BackupError: values that exclude each other or are out of bounds.
    """

    backup: BackupPath
    dsn: str = field(default="", repr=False)  # may hold a password
    rejects: BackupPath | None = None
    schema: str | None = None
    tables: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    map: Mapping[str, str] = field(default_factory=dict)
    format: str | None = None
    map_column: Mapping[str, str] = field(default_factory=dict)
    match: NameMatch = "loose"
    clean: bool = False
    cascade: bool = False
    append: bool = False
    on_conflict: OnConflict = "reject"
    dry_run: bool = False
    atomic: bool = False
    resume: bool = False
    create: bool = False
    retry_for_s: float = 60.0
    unknown_fields: UnknownFields = "warn"
    absent_fields: AbsentFields = "auto"
    max_rejects: MaxRejects | None = None
    on_error: OnError = "continue"
    triggers: bool = False
    keep_indexes: bool = False
    timezone: str = "UTC"
    epoch: Mapping[str, str] = field(default_factory=dict)
    date_format: str | None = None
    json_strings: JsonStrings = "auto"
    bytea: Bytea = "auto"
    nul: Nul = "reject"
    empty_string: NullOrReject = "reject"
    zero_date: NullOrReject = "reject"
    fraction: Fraction = "reject"
    batch_size: int | None = None
    chunk_bytes: int = DEFAULT_CHUNK_BYTES
    lock_timeout_s: float = 60.0
    jobs: int | None = None
    executor: str = "threads"

    @property
    def is_distributed(self) -> bool:
        """Tell if other processes load."""
        return self.executor != "threads"

    @property
    def processes(self) -> int:
        """How many connections may load, each from a thread."""
        if self.atomic:
            return 1  # a transaction is one session's
        if self.jobs is not None:
            return self.jobs
        can_tell = hasattr(os, "sched_getaffinity")  # which a container may have narrowed
        cores = len(os.sched_getaffinity(0)) if can_tell else os.cpu_count() or 1
        return min(cores, _MOST_JOBS_BY_DEFAULT)

    def sent_at_once(self, records: int) -> int:
        """Return how many of a batch's records are sent as one COPY."""
        return records if self.batch_size is None else self.batch_size

    def __post_init__(self) -> None:
        self._check_choices()
        self._check_types()
        if self.clean and self.append:
            raise BackupError(
                "--clean empties the tables and --append keeps them: choose one",
                options=("clean", "append"),
            )
        if self.cascade and not self.clean:
            raise BackupError("--cascade extends --clean: give both", options=("cascade", "clean"))
        if self.on_conflict != "reject" and not self.append:
            raise BackupError(
                f"--on-conflict {self.on_conflict} is for existing rows: give --append too",
                options=("on_conflict", "append"),
            )
        _check_bounds(
            "--chunk-bytes", self.chunk_bytes, _SMALLEST_CHUNK_BYTES, _LARGEST_CHUNK_BYTES
        )
        if self.batch_size is not None:
            _check_bounds("--batch-size", self.batch_size, 1, _LARGEST_BATCH)
        if self.jobs is not None:
            _check_bounds("--jobs", self.jobs, 1, MOST_JOBS)
        if self.dry_run and (self.resume or self.atomic):
            raise BackupError(
                "--dry-run writes nothing: give it without --resume and --atomic",
                options=("dry_run", "resume", "atomic"),
            )
        if self.dry_run and self.create:
            raise BackupError(
                "--dry-run writes nothing, and --create creates tables: see them with `infer`",
                options=("dry_run", "create"),
            )
        if self.atomic and self.resume:
            raise BackupError(
                "--atomic leaves nothing to --resume: choose one", options=("atomic", "resume")
            )
        self._check_executor()
        _check_bounds("--retry-for", self.retry_for_s, 0, 86_400)
        _check_bounds("--lock-timeout", self.lock_timeout_s, 0, 86_400)
        _check_timezone(self.timezone)
        self._check_times()

    def _check_executor(self) -> None:
        if not EXECUTOR.fullmatch(self.executor):
            raise BackupError(
                f"--executor {self.executor!r}: write threads, dask, dask://HOST:PORT or"
                " tls://HOST:PORT",
                options=("executor",),
            )
        if self.is_distributed and (self.dry_run or self.atomic):
            raise BackupError(
                f"--executor {self.executor} loads from several processes, and --dry-run and"
                " --atomic from one connection: choose one",
                options=("executor", "dry_run", "atomic"),
            )

    def _check_times(self) -> None:
        if not set(self.epoch.values()) <= set(get_args(EpochUnit)):
            raise BackupError(
                "--epoch takes s, ms, us or ns, or TABLE.COLUMN=UNIT", options=("epoch",)
            )
        if self.date_format is not None and not DATE_FORMAT.fullmatch(self.date_format):
            raise BackupError(
                f"--date-format {self.date_format!r}: write day, month and year as DD, MM and YYYY,"
                " DD/MM/YYYY",
                options=("date_format",),
            )

    def _check_choices(self) -> None:
        for name, allowed in (
            ("absent_fields", AbsentFields),
            ("match", NameMatch),
            ("on_conflict", OnConflict),
            ("unknown_fields", UnknownFields),
            ("on_error", OnError),
            ("json_strings", JsonStrings),
            ("bytea", Bytea),
            ("nul", Nul),
            ("empty_string", NullOrReject),
            ("zero_date", NullOrReject),
            ("fraction", Fraction),
        ):
            if getattr(self, name) not in get_args(allowed):
                choices = ", ".join(get_args(allowed))
                raise BackupError(
                    f"--{name.replace('_', '-')} is one of {choices}", options=(name,)
                )

    def _check_types(self) -> None:
        """Accept paths as text; refuse a text in place of a set of names."""
        object.__setattr__(self, "backup", to_path(self.backup))
        if self.rejects is not None:
            object.__setattr__(self, "rejects", to_path(self.rejects))
        for name in ("tables", "exclude"):
            if isinstance(getattr(self, name), str):
                raise BackupError(f"{name} is a set of names: write {{'users'}}", options=(name,))
            object.__setattr__(self, name, frozenset(getattr(self, name)))


def _check_bounds(option: str, value: float, least: int, most: int) -> None:
    if not least <= value <= most:
        raise BackupError(
            f"{option} {value:,g} is out of bounds: choose {least:,} to {most:,}",
            options=(option.removeprefix("--").replace("-", "_"),),
        )


def _check_timezone(name: str) -> None:
    if name == "UTC":
        return  # known without a time zone database, which small containers lack
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - most restores need none

    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise BackupError(
            f"--timezone {name!r} is not a known time zone: write one like Europe/Berlin",
            options=("timezone",),
        ) from error
