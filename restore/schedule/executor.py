"""The protocol between the scheduler and what loads its tasks: threads here, maybe other machines.

An executor loads tasks and reports on them; it decides nothing. A task can be sent anywhere: it
holds what is to be loaded and how, no connection and no open file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from restore.rejects.writer import RejectFile
from restore.report.model import TableReport

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from restore.load.bulk_copy import BulkMode
    from restore.load.shard_context import ShardCounts
    from restore.options import Options
    from restore.plan.order import Load
    from restore.rejects.limits import RejectLimits
    from restore.source.shards import Shard


class StoppedError(Exception):
    """The load of a task ends because of something else; never an error of its own."""


class Task(Struct, frozen=True):
    """One shard of one table, and where its rejects go: to a file of its own.

    Args:
        load: the file and the table.
        shard: which part of the file.
        schema, table: the table's names as the user knows them.
        folder, part: folder and name of the shard's reject file.
        mode: how the shard may be loaded in one COPY.
        counts: those of what is loaded of it already, encoded.
        rejects_bytes: how much of its reject file is ours; None: there is no such file yet.
    """

    load: Load
    shard: Shard
    schema: str
    table: str
    folder: Path
    part: str
    mode: BulkMode
    counts: bytes | None = None
    rejects_bytes: int | None = None

    def report(self) -> TableReport:
        """Return the counts of what is loaded of it already."""
        if self.counts is not None:
            return msgspec.json.decode(self.counts, type=TableReport)
        return TableReport(schema=self.schema, table=self.table, file=self.load.file.name)

    def rejects(self) -> RejectFile:
        """Return the shard's reject file; it is created with the first reject.

        Raises:
            LoadError: rejects that were written before are gone.
        """
        return RejectFile(
            self.folder, self.schema, self.table, self.part, keeping=self.rejects_bytes
        )


class TaskUpdate(NamedTuple):
    """Progress of a task.

    ``is_first``: its load begins, and nothing is loaded. ``boundary_holds``: its load has ended,
    and whether that was where the next shard begins; None: it has not.
    """

    task: Task
    counts: ShardCounts
    is_first: bool = False
    boundary_holds: bool | None = None


OnUpdate = Callable[[TaskUpdate], None]
"""Called at the start of a task, after each of its batches and at its end, from any thread.

What it raises ends the load.
"""


class Executor(Protocol):
    """Loads tasks, several at a time, and reports on each of them.

    Attributes:
        slots: how many tasks it loads at a time.
        warnings: lines for the report.
    """

    slots: int
    warnings: list[str]

    def submit(self, task: Task) -> None:
        """Load a task as soon as a slot is free; returns at once."""

    def wait(self) -> None:
        """Wait until every task is loaded, including those submitted while it waits.

        Raises:
            BaseException: the first that a task, or a report on one, raised.
        """

    def stop(self) -> None:
        """End all work within a bounded time; what is not committed by then is lost."""


class ExecutorFactory(Protocol):
    """Makes the executor of a load."""

    def __call__(
        self,
        conn: psycopg.Connection,
        options: Options,
        limits: RejectLimits,
        *,
        threads: int,
        on_update: OnUpdate,
    ) -> Executor:
        """Make an executor.

        Args:
            conn: the restore's own connection; nothing else may use it while a task is loaded.
            options: how to load.
            limits: checked after each reject.
            threads: how many tasks are loaded at a time.
            on_update: told of each task's progress.
        """
