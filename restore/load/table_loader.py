"""Loads one table: read, decode, COPY, batch by batch, shard by shard."""

from __future__ import annotations

import contextlib
from itertools import chain
from typing import TYPE_CHECKING

from restore.decode.convert import Converter
from restore.decode.shapes import ShapeLearner
from restore.errors import LoadError, RestoreError
from restore.journal.checkpoints import Checkpoints, NoCheckpoints
from restore.load.bulk_copy import BulkCopyRefusedError, BulkMode, DeferredRecords, bulk_copy
from restore.load.defaults import evaluate, steady_defaults
from restore.load.destination import CopyDestination
from restore.load.ladder import Ladder
from restore.load.missing_ids import sequence_columns_in_file
from restore.load.record_errors import LONGEST_RUN
from restore.load.shard_reader import ShardReader, prefetch
from restore.load.upsert import make_destination
from restore.plan.dry_run import writable_session
from restore.rejects.limits import RejectLimits, without_max_rejects
from restore.source.reader import Batch
from restore.target.connection import users_search_path
from restore.target.own_rows import temporary_write_log
from restore.target.sequences import set_sequences
from restore.text import clip

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from restore.journal.checkpoints import Log
    from restore.load.shard_context import ShardContext
    from restore.options import Options
    from restore.plan.order import Load
    from restore.rejects.writer import RejectSink
    from restore.report.model import TableReport
    from restore.source.records import Damage
    from restore.source.shards import Shard

_OUT_OF_MEMORY = "out of memory: take fewer --jobs, or a smaller --chunk-bytes"


class TableLoader:
    """Loads one table's file, or shards of it, and learns what their records are like.

    Args:
        conn: a connection that commits each statement.
        load: the file and the table.
        options: how to load.
        limits: checked after each reject and each batch.
    """

    def __init__(
        self, conn: psycopg.Connection, load: Load, *, options: Options, limits: RejectLimits
    ) -> None:
        self._conn = conn
        self._load = load
        self._options = options
        self._limits = limits
        self._converter = Converter(options.timezone, load.policies)
        self._shapes = ShapeLearner(load.table, self._converter)
        self._writes = load.writes
        self._drawn: frozenset[str] | None = None
        self._steady = steady_defaults(conn, load.table, options)
        with writable_session(conn):
            if options.on_conflict != "reject" and self._writes is None:
                self._writes = temporary_write_log(conn)
            self._destination = make_destination(conn, load.table, options, self._writes)

    def run(self, context: ShardContext) -> bool:
        """Load a shard; afterwards every record of it is counted.

        Returns:
            Whether it ends at a boundary, where another shard may begin.

        Raises:
            RestoreError: the load stopped.
        """
        try:
            self._set_turn(context.shard)
            with users_search_path(self._conn):
                self._evaluate_defaults()
                return self._run(context)
        except RestoreError as error:
            context.report.error = clip(" ".join(str(error).split()))
            raise
        except MemoryError as error:
            context.report.error = _OUT_OF_MEMORY
            raise LoadError(_OUT_OF_MEMORY) from error
        finally:
            context.report.warnings += self._load.policies.notes

    def _set_turn(self, shard: Shard) -> None:
        """Choose which records are loaded; before late ones, set the sequences past the others."""
        table = self._load.table
        if self._drawn is None:
            self._drawn = sequence_columns_in_file(table, self._load.file)
        if shard.late:
            set_sequences(self._conn, table)
        self._shapes.turns.set(self._drawn, later=shard.late)

    def _evaluate_defaults(self) -> None:
        """Learn the values of defaults, once, while users' code finds what it names."""
        if self._steady:
            with writable_session(self._conn):
                self._shapes.presence.know(evaluate(self._conn, self._load.table, self._steady))
            self._steady = ()

    def _run(self, context: ShardContext) -> bool:
        while context.mode.is_bulk and type(self._destination) is CopyDestination:
            try:
                return self._read(context, context.mode)
            except BulkCopyRefusedError as error:
                if self._shapes.check_nul or not error.has_nul:
                    break
                self._shapes.check_nul = True
        return self._read(context, BulkMode())

    def ladder(
        self,
        report: TableReport,
        rejects: RejectSink,
        log: Log | None = None,
        *,
        limits: RejectLimits | None = None,
        longest_run: int | None = LONGEST_RUN,
    ) -> Ladder:
        """Return what loads the table's records, with these counts and rejects.

        Args:
            report: takes the counts.
            rejects: takes the records that cannot be restored.
            log: writes checkpoints; None: nothing does.
            limits: others than those of the restore.
            longest_run: as for ``RecordErrors``.
        """
        return Ladder(
            self._conn,
            self._load.table,
            destination=self._destination,
            converter=self._converter,
            shapes=self._shapes,
            options=self._options,
            rejects=rejects,
            report=report,
            limits=limits or self._limits,
            log=log or NoCheckpoints(self._conn, self._load.table.oid, self._writes),
            longest_run=longest_run,
        )

    def _log(self, context: ShardContext) -> Checkpoints:
        oid = self._load.table.oid
        return Checkpoints(self._conn, oid, context.shard, context.report, context.rejects)

    def _read(self, context: ShardContext, mode: BulkMode) -> bool:
        """Read a shard to its end and load what it holds, at first in one COPY if that may be.

        Raises:
            BulkCopyRefusedError: some rows were refused there; nothing is loaded or counted.
        """
        shard, report = context.shard, context.report
        log = self._log(context) if self._load.journaled else None
        with contextlib.closing(shard.open(self._load.file)) as opened:
            stream = opened if log is None else log.watch(opened)
            reader = ShardReader(context, stream, self._shapes.decode, self._options)
            items = iter(reader)
            if mode.is_bulk:
                items = self._bulk_copy(items, reader, context, log)
            ladder = self.ladder(report, context.rejects, log)
            # Between two COPYs the server is waited for; in one COPY it works all the time.
            with contextlib.closing(prefetch(items)) as left:
                for found in left:
                    if isinstance(found, Batch):
                        ladder.load(found, shard.decided)
                    elif found.record.offset >= shard.decided:
                        ladder.damage(found)
                    else:
                        ladder.pass_over(found)
                    reader.done_with(found)
            if report.accounted != report.read:
                raise AssertionError(f"{report.table}: records are counted that were not read")
            holds = reader.end()
            if log is not None:
                log.end(holds=holds)
            return holds

    def _bulk_copy(
        self,
        items: Iterator[Batch | Damage],
        reader: ShardReader,
        context: ShardContext,
        log: Checkpoints | None,
    ) -> Iterator[Batch | Damage]:
        """Load what is read in one transaction, as long as its COPY takes it.

        Returns:
            What is left to load, once that is committed.

        Raises:
            BulkCopyRefusedError: some of it was refused; nothing is loaded or counted.
        """
        left, holds = items, None
        # Too many rejects stop the restore once the rows are committed.
        limits = without_max_rejects(self._options)
        ladder = self.ladder(context.report, context.rejects, limits=limits)
        try:
            with (
                context.rejects.rollback_on_error(),
                bulk_copy(self._conn, self._load.table, freeze=context.mode.freeze) as copy,
            ):
                deferred = DeferredRecords(copy, ladder) if context.mode.any_order else None
                for found in items:
                    if not ladder.fill(found, copy, deferred):
                        left = chain((found,), items)
                        break
                    reader.done_with(found)
                else:
                    holds = reader.end()
                copy.end()
                if deferred is not None:
                    deferred.load()
                if log is not None:
                    log.note(reader.position, ended=holds is not None, holds=bool(holds))
        except BaseException:
            context.report.reset()
            raise
        self._limits.after_batch()
        return left


class LoaderCache:
    """The table loaders of one connection; what each learns of its records serves later shards.

    Args:
        conn: a connection that commits each statement.
        options: how to load.
        limits: checked after each reject.
    """

    def __init__(self, conn: psycopg.Connection, options: Options, limits: RejectLimits) -> None:
        self._conn = conn
        self._options = options
        self._limits = limits
        self._loaders: dict[int, TableLoader] = {}

    def loader(self, load: Load) -> TableLoader:
        """Return what loads a table."""
        oid = load.table.oid
        if oid not in self._loaders:
            self._loaders[oid] = TableLoader(
                self._conn, load, options=self._options, limits=self._limits
            )
        return self._loaders[oid]
