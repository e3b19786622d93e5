"""Tries rejects again once all tables are in: some were kept out only by the order of the load.

A CHECK function or a trigger may read a table that was loaded later, or a later row of the same
table. All tries are one transaction, with the journal's note of it. The new reject files take the
place of the old ones when that is committed; until then they are named as shards' files are.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from restore.load.table_loader import TableLoader
from restore.rejects.reader import read_entries, to_batches
from restore.report.events import Stage
from restore.report.model import TableReport
from restore.source.records import Damage
from restore.target.connection import catalog_search_path, users_search_path
from restore.target.sequences import set_sequences
from restore.target.user_code import tables_with_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import psycopg

    from restore.options import Options
    from restore.rejects.limits import RejectLimits
    from restore.rejects.writer import RejectFile
    from restore.report.events import ProgressCallback
    from restore.schedule.table_state import TableState

# Records may need each other in a chain, in either direction of the file.
_MOST_PASSES = 10
# Data exceptions are of a record's own values; syntax_error, not_null_violation, unique_violation
# and exclusion_violation do not go away with more rows either. A foreign_key_violation does not,
# since parents are loaded first; it may be that of a key that is dropped again, in a restore that
# is resumed.
_PERMANENT_SQLSTATES = ("22", "42601", "23502", "23503", "23505", "23P01")


def may_go_away(sqlstate: str | None) -> bool:
    """Tell whether an error that kept a record out may not occur once other rows are in."""
    return sqlstate is not None and not sqlstate.startswith(_PERMANENT_SQLSTATES)


def load_rejects(
    conn: psycopg.Connection,
    works: Iterable[TableState],
    options: Options,
    limits: RejectLimits,
    watch: ProgressCallback,
) -> None:
    """Load what only the order of the load kept out.

    A dry run's shadow tables tell nothing of that: functions read the tables themselves.

    Args:
        conn: a connection that commits each statement, or is in the transaction of the load.
        works: the tables, loaded and finished, their rejects in one file each.
        options: how they were loaded.
        limits: say when there are too many rejects.
        watch: is told of progress.

    Raises:
        RestoreError: the server failed.
    """
    found = [
        work
        for work in works
        if work.phases.phase != "retried"
        and any(may_go_away(reason.sqlstate) for reason in work.report.reasons)
    ]
    if not found:
        return
    oids = [work.load.table.oid for work in found]
    read = tables_with_code(conn, oids, triggers=options.triggers)
    found = [work for work in found if work.load.table.oid in read]
    if found:
        watch(Stage("rejects, once more"))
        _SecondTry(conn, found, options, limits).run()


class _SecondTry:
    """Tries the rejects of tables again.

    Its arguments are those of ``load_rejects``.
    """

    def __init__(
        self,
        conn: psycopg.Connection,
        works: Sequence[TableState],
        options: Options,
        limits: RejectLimits,
    ) -> None:
        self._conn = conn
        self._options = options
        self._limits = limits
        self._works = works

    def run(self) -> None:
        """Try until nothing more goes in.

        Raises:
            RestoreError: the server failed; then all is as it was before.
        """
        with contextlib.ExitStack() as on_exit:
            for work in self._works:
                on_exit.enter_context(work.report.rollback_on_error())
            # What is checked at a transaction's end is users' code, too.
            with users_search_path(self._conn), self._conn.transaction():
                self._conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
                left = self._try_all(on_exit)
                with catalog_search_path(self._conn):
                    for number, rejects in left.items():
                        self._works[number].note_retried(self._conn, rejects)
            for number, rejects in left.items():
                work = self._works[number]
                work.use_retried(rejects.size)
                work.report.warnings += set_sequences(self._conn, work.load.table)

    def _try_all(self, on_exit: contextlib.ExitStack) -> dict[int, RejectFile]:
        """Return the files of the remaining rejects, by the places of tables that got rows."""
        left: dict[int, RejectFile] = {}
        for passes in range(_MOST_PASSES):
            before = sum(work.report.loaded for work in self._works)
            for number, work in enumerate(self._works):
                old = left.get(number, work.rejects)
                new = work.retried_file(passes)
                on_exit.callback(new.discard)
                if old.has_rejects and self._try(work, old.path, new):
                    left[number] = new
            if sum(work.report.loaded for work in self._works) == before:
                break
        return left

    def _try(self, work: TableState, old: Path, new: RejectFile) -> bool:
        """Try the rejects of a file; say whether any went in. The others go to a new file."""
        with catalog_search_path(self._conn):
            loader = TableLoader(self._conn, work.load, options=self._options, limits=self._limits)
        tried = TableReport(schema="", table=work.report.table, file=work.report.file)
        ladder = loader.ladder(tried, new, longest_run=None)
        for group in read_entries(old):
            again = [entry for entry in group if may_go_away(entry.sqlstate)]
            for entry in group:
                if not may_go_away(entry.sqlstate):
                    new.write_line(entry.line)
            for found in to_batches(again):
                if not isinstance(found, Damage):  # the server refused it: it is JSON
                    ladder.load(found)
        if tried.loaded or tried.skipped:
            work.report.count_retried(tried, may_go_away)
            return True
        return False
