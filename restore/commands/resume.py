"""Resumes an unfinished restore from where its journal says that it stopped."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash
from msgspec.structs import replace

from restore.errors import BackupError, LoadError, SchemaError
from restore.journal.store import ShardProgress, TableProgress, close_shards, read_progress
from restore.plan.order import make_plan, with_target_columns
from restore.source.buffer import WHITESPACE
from restore.source.shards import LATE, Shard, UnloadedRange
from restore.target import catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import psycopg

    from restore.journal.store import UnfinishedRestore
    from restore.options import Options
    from restore.plan.matching import Match
    from restore.plan.order import Plan
    from restore.schedule.table_state import TableState
    from restore.source.discovery import TableFile

_BETWEEN = WHITESPACE + b","
_READ_BYTES = 1 << 20
# What decides about the result.
_DECIDING = (
    *("absent_fields", "append", "exclude", "map", "map_column", "match", "on_conflict"),
    *("schema", "tables", "timezone", "triggers", "unknown_fields"),
    *("epoch", "date_format", "json_strings", "bytea", "nul", "empty_string", "zero_date"),
    *("format", "fraction"),
)


def result_options(options: Options) -> dict[str, Any]:
    """Return the options that affect a restore's result, as JSON values."""
    found: dict[str, Any] = {}
    for name in _DECIDING:
        value = getattr(options, name)
        found[name] = sorted(value) if isinstance(value, frozenset) else value
    maps = ("map", "map_column", "epoch")
    return found | {name: dict(getattr(options, name)) for name in maps}


def resumed_plan(
    conn: psycopg.Connection,
    unfinished: UnfinishedRestore,
    found: Mapping[int, Match],
    options: Options,
    *,
    fixed: Iterable[int] = (),
) -> tuple[Plan, dict[int, TableProgress]]:
    """Plan the rest of an unfinished restore.

    Args:
        conn: a connection that commits each statement.
        unfinished: the restore.
        found: the backup's files, by the oid of their table.
        options: what this process was told.
        fixed: tables whose rows may not be deleted again.

    Returns:
        The plan, with tables as they were in the beginning, and how far each of them is.

    Raises:
        RestoreError: backup, tables or options are not what they were.
    """
    _check_options(unfinished, options)
    loaded = {each.table.oid: each for each in read_progress(conn)}
    now = catalog.read_tables(conn, loaded)
    files = {}
    for oid, each in loaded.items():
        began = tuple(replace(c, alias=None, null_if_absent=False) for c in each.table.columns)
        if oid not in now or now[oid].columns != began:
            raise SchemaError(
                f"cannot resume: the columns of table {each.table.name} changed since the restore"
                " began; start over with --clean"
            )
        if oid not in found:
            raise BackupError(
                f"cannot resume: {each.file} is not in the backup any more; put it back"
            )
        files[oid] = found[oid].file
    # Dropped objects are known from the journal, all others from the catalogue.
    tables = {oid: each.table for oid, each in loaded.items()}
    files = with_target_columns(files, tables)
    for oid, each in loaded.items():
        _check_unchanged(files[oid], each)
    return make_plan(files, tables, fixed=fixed), loaded


def _check_options(unfinished: UnfinishedRestore, options: Options) -> None:
    for name, value in result_options(options).items():
        recorded = unfinished.options.get(name)
        if recorded != value:
            was, then = f"was {recorded!r}", "give it that value"
            if not recorded:
                was, then = "was not given", "leave it out"
            raise BackupError(
                f"cannot resume: --{name.replace('_', '-')} {was} when the restore began; {then},"
                " or start over with --clean"
            )


def _check_unchanged(file: TableFile, loaded: TableProgress) -> None:
    """Check that the loaded part of a file is unchanged.

    Raises:
        BackupError: it is not.
    """
    changed = BackupError(
        f"cannot resume: {file.name} changed since the restore began; start over with --clean"
    )
    if (file.file_bytes, file.version) != (loaded.file_bytes, loaded.version):
        raise changed
    if file.version:
        return  # it stands for the content
    shards = [shard for shard in loaded.shards if shard.hashed]
    if not shards:
        return
    with contextlib.closing(file.open()) as stream:
        first = stream.start
        end = max(max(s.start, first) + s.hashed for s in shards)
        place = first
        hashes = {shard.start: (xxhash.xxh3_128(), max(shard.start, first)) for shard in shards}
        while place < end and (part := stream.read(min(_READ_BYTES, end - place))):
            for shard in shards:
                hashed, start = hashes[shard.start]
                low, high = max(start - place, 0), min(start + shard.hashed - place, len(part))
                if low < high:
                    hashed.update(part[low:high])
            place += len(part)
    if any(hashes[shard.start][0].hexdigest() != shard.hash for shard in shards):
        raise changed


def resume_table(conn: psycopg.Connection, work: TableState, loaded: TableProgress) -> None:
    """Continue a table's load from its recorded progress.

    Args:
        conn: a connection that commits each statement.
        work: the table's, of which nothing is known yet.
        loaded: how far it is.

    Raises:
        LoadError: rejects that were kept are gone.
    """
    work.resumed, work.phases.phase = True, loaded.phase
    work.fetch_rejects(conn)
    if loaded.phase not in {"loading", "ordered"}:
        if loaded.report is None:
            raise AssertionError(f"{loaded.file}: a table that is loaded has counts")
        work.report.add(loaded.report)
        if loaded.phase == "retried":
            work.use_retried(loaded.rejects_bytes)
        else:
            work.rejects.truncate_to(loaded.rejects_bytes)
        _remove_stray_rejects(work, [])
        work.gaps = []
        return
    work.rejects.truncate_to(0)
    _remove_stray_rejects(work, loaded.shards)
    late = [shard for shard in loaded.shards if shard.start == LATE]
    others = [shard for shard in loaded.shards if shard.start != LATE]
    open_shards = [shard for shard in others if not shard.ended]
    close_shards(conn, loaded.table.oid, open_shards)
    # One that was recorded before anything was decided has nothing to continue from.
    shards = [_as_closed(shard) for shard in others if shard.report.read or shard.ended]
    for shard in shards:
        whole = Shard(shard.start, shard.stop)
        work.resume(whole, shard.report, shard.rejects_bytes, holds=shard.holds)
    for shard in late:
        if shard.ended:
            whole = Shard(late=True)
            work.resume(whole, shard.report, shard.rejects_bytes, holds=True)
        elif shard.report.read:
            work.resume_late(shard.report, shard.rejects_bytes, shard.position)
    work.gaps = list(_unloaded_ranges(work.load.file, shards))


def _as_closed(shard: ShardProgress) -> ShardProgress:
    """Return an unfinished shard as one that ends where it was left."""
    return shard if shard.ended else shard._replace(stop=shard.position, ended=True, holds=True)


def _remove_stray_rejects(work: TableState, shards: Iterable[ShardProgress]) -> None:
    """Remove reject files of other shards than these: they are loaded anew, or in the table's.

    Raises:
        LoadError: one cannot be removed.
    """
    known = {work.part(shard.start) for shard in shards}
    if not work.folder.is_dir():
        return
    try:
        for path in work.folder.iterdir():
            if path.name.startswith(work.part("")) and path.name not in known:
                path.unlink()
    except OSError as error:
        raise LoadError(f"cannot tidy {work.folder}: {error.strerror}") from error


def _unloaded_ranges(file: TableFile, shards: Iterable[ShardProgress]) -> Iterator[UnloadedRange]:
    """Yield the ranges of a file that are in no shard."""
    first = file.start
    place: int | None = first
    for shard in shards:
        if place is not None and shard.start > place:
            start = place if place == first else _next_record(file, place, shard.start)
            if start < shard.start:
                yield UnloadedRange(start, shard.start, is_mid_array=start > first)
        place = shard.stop
    if place is not None:
        start = place if place == first else _next_record(file, place, None)
        yield UnloadedRange(start, None, is_mid_array=start > first)


def _next_record(file: TableFile, place: int, end: int | None) -> int:
    """Return the start of what follows a record, after white space and a comma."""
    with contextlib.closing(file.open((place, end))) as stream:
        while part := stream.read(_READ_BYTES):
            rest = part.lstrip(_BETWEEN)
            place += len(part) - len(rest)
            if rest:
                break
    return place


def rejects_folder_of(unfinished: UnfinishedRestore, options: Options) -> Path:
    """Return the folder of a restore's rejects.

    Raises:
        BackupError: this process was told another.
    """
    folder = Path(unfinished.rejects)
    if isinstance(options.rejects, Path) and options.rejects.absolute() != folder:
        raise BackupError(
            f"cannot resume: the rejects of the unfinished restore are in {folder}; give --rejects"
            f" {folder}, or leave it out"
        )
    return folder
