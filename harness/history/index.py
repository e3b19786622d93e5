"""An index of the history, which answers queries over ten thousand runs at once.

It is a SQLite file beside the runs with no data of its own: it is updated whenever it is opened,
and rebuilt if it is damaged or of another version.
"""

from __future__ import annotations

import contextlib
import os
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa

from harness.analysis.figures import engines, samples, success_of, time_ratio
from harness.analysis.sessions import machine
from harness.history.codec import instant
from harness.history.store import read
from harness.model.errors import HistoryError
from harness.model.record import FLOOR, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.history.store import History
    from harness.model.record import Run

FILE = "index.sqlite"

# Increased with every change of the tables below or of their contents.
VERSION = 4

_METADATA = sa.MetaData()
_RUNS = sa.Table(
    "runs",
    _METADATA,
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("changed_ns", sa.Integer),
    sa.Column("size_bytes", sa.Integer),
    sa.Column("unreadable", sa.Text),
    sa.Column("id", sa.Text),
    sa.Column("started_at", sa.Text, index=True),
    sa.Column("finished", sa.Boolean),
    sa.Column("chaos", sa.Boolean),
    sa.Column("scenario", sa.Text),
    sa.Column("rows", sa.Integer),
    sa.Column("faults", sa.Text),
    sa.Column("server", sa.Text),
    sa.Column("machine", sa.Text),
    sa.Column("commit", sa.Text),
    sa.Index("runs_by_id", "id", "path"),  # to choose between two files of one run
)
_FIGURES = sa.Table(
    "figures",
    _METADATA,
    sa.Column("path", sa.ForeignKey("runs.path"), primary_key=True),
    sa.Column("engine", sa.Text, primary_key=True),
    sa.Column("attempted", sa.Integer),
    sa.Column("ok", sa.Integer),
    sa.Column("wall_s", sa.Float),
    sa.Column("x_floor", sa.Float),
    sa.Column("x_legacy", sa.Float),
    sa.Column("peak_bytes", sa.Float),
    sa.Column("success", sa.Float),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A run in the index; ``path`` is its file."""

    path: str
    id: str
    started_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """The runs to select; None is any. Dates are prefixes of ISO 8601."""

    engine: str | None = None
    rows: int | None = None
    scenario: str | None = None
    machine: str | None = None
    commit: str | None = None
    since: str | None = None
    until: str | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return the filters as SQL conditions."""
        run = _RUNS.c
        engine = sa.exists().where(_FIGURES.c.path == run.path, _FIGURES.c.engine == self.engine)
        wanted: list[tuple[object, sa.ColumnElement[bool]]] = [
            (self.engine, engine),
            (self.rows, run.rows == self.rows),
            (self.scenario, run.scenario == self.scenario),
            (self.machine, run.machine.icontains(self.machine or "", autoescape=True)),
            (self.commit, run.commit.startswith(self.commit or "", autoescape=True)),
            (self.since, run.started_at >= (self.since or "")),
            # "~" sorts after all digits: 2024-05 includes the whole of May.
            (self.until, run.started_at < f"{self.until}~"),
        ]
        # A published run is in both folders, but counts once.
        once = run.path.in_(sa.select(sa.func.max(run.path)).group_by(run.id))
        return [
            run.unreadable.is_(None),
            once,
            *(sql for value, sql in wanted if value is not None),
        ]


class Index:
    """The up-to-date index of a history; a context manager.

    Raises:
        HistoryError: a folder of the history cannot be read.
    """

    def __init__(self, history: History) -> None:
        self._path = history.root / FILE
        self._engine = self._open(history)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    def entries(self, filters: Filters | None = None, *, measured: bool = False) -> list[Entry]:
        """Return the selected runs, oldest first; ``measured`` excludes chaos."""
        run = _RUNS.c
        query = (
            sa.select(run.path, run.id, run.started_at)
            .where(*(filters or Filters()).conditions(), ~run.chaos if measured else sa.true())
            .order_by(run.started_at, run.id)
        )
        with self._engine.connect() as connection:
            return [Entry(*row) for row in connection.execute(query).all()]

    def figures(self, filters: Filters, limit: int) -> list[dict[str, Any]]:
        """Return a row for each engine of the newest selected runs, oldest run first."""
        run = _RUNS.c
        newest = (
            sa.select(run.path)
            .where(*filters.conditions())
            .order_by(run.started_at.desc(), run.id.desc())
            .limit(limit)
        )
        run_columns = [column for column in run if column.name not in _FILE_COLUMNS]
        own = [column for column in _FIGURES.c if column.name != "path"]
        query = (
            sa.select(*run_columns, *own)
            .join(_FIGURES, _FIGURES.c.path == run.path)
            .where(run.path.in_(newest))
            .order_by(run.started_at, run.id, sa.literal_column("figures.rowid"))
        )
        if filters.engine is not None:
            query = query.where(_FIGURES.c.engine == filters.engine)
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def skipped(self) -> list[tuple[str, str]]:
        """Return the files that are in no list, each with the reason."""
        run = _RUNS.c
        unreadable = sa.select(run.path, run.unreadable).where(run.unreadable.isnot(None))
        kept = sa.select(run.id, sa.func.max(run.path).label("path")).group_by(run.id).subquery()
        other = (
            sa.select(run.path, kept.c.path)
            .join(kept, run.id == kept.c.id)
            .where(run.path != kept.c.path)
        )
        with self._engine.connect() as connection:
            found = [(path, reason) for path, reason in connection.execute(unreadable)]
            for path, kept_path in connection.execute(other):
                # A copy in the folder of published runs is no mistake.
                if os.path.dirname(path) == os.path.dirname(kept_path):  # noqa: PTH120 - thousands
                    found.append((path, f"{os.path.basename(kept_path)} has the same id"))  # noqa: PTH119
        return found

    def _open(self, history: History) -> sa.Engine:
        """Open or rebuild the file; use memory if it cannot be written."""
        stats = _file_stats(history.folders)
        for _ in range(2):
            engine = sa.create_engine(f"sqlite:///{self._path}")
            try:
                _refresh(engine, stats)
            except sa.exc.DatabaseError:
                engine.dispose()
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)
            else:
                return engine
        engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        _refresh(engine, stats)
        return engine


# Columns about the file, not the run.
_FILE_COLUMNS = frozenset({"path", "changed_ns", "size_bytes", "unreadable"})


def _refresh(engine: sa.Engine, stats: dict[str, tuple[int, int]]) -> None:
    """Index the files that are new or have changed, and delete those that are gone."""
    with engine.begin() as connection:
        version = connection.exec_driver_sql("PRAGMA user_version").scalar()
        if version != VERSION:
            _METADATA.drop_all(connection)
            _METADATA.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")
        run = _RUNS.c
        known = {
            path: (changed, size)
            for path, changed, size in connection.execute(
                sa.select(run.path, run.changed_ns, run.size_bytes)
            ).all()
        }
        stale = [name for name in known if stats.get(name) != known[name]]
        for table in (_FIGURES, _RUNS):
            _delete(connection, table, stale)
        new = [name for name, stat in stats.items() if known.get(name) != stat]
        made = [_rows(Path(name), stats[name]) for name in new]
        if made:
            connection.execute(_RUNS.insert(), [row for row, _ in made])
        if of_engines := [row for _, rows in made for row in rows]:
            connection.execute(_FIGURES.insert(), of_engines)


def _delete(connection: sa.Connection, table: sa.Table, paths: Iterable[str]) -> None:
    gone = [{"gone": path} for path in paths]
    if gone:
        connection.execute(table.delete().where(table.c.path == sa.bindparam("gone")), gone)


def _file_stats(folders: Iterable[Path]) -> dict[str, tuple[int, int]]:
    """Return modification time and size of each run's file, by path."""
    stats = {}
    for folder in folders:
        try:
            with os.scandir(folder) as found:
                files = [file for file in found if file.name.endswith(".json")]
        except FileNotFoundError:  # no run is recorded there yet
            continue
        except OSError as error:
            raise HistoryError(f"cannot read {folder}: {error.strerror}") from error
        for file in files:
            with contextlib.suppress(FileNotFoundError):  # deleted since
                stat = file.stat()
                stats[file.path] = (stat.st_mtime_ns, stat.st_size)
    return stats


def _rows(path: Path, stat: tuple[int, int]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the rows of a file: of its run, and of each engine."""
    row: dict[str, Any] = dict.fromkeys(column.name for column in _RUNS.c)
    row |= {"path": str(path), "changed_ns": stat[0], "size_bytes": stat[1]}
    try:
        run = read(path)
    except HistoryError as error:
        return {**row, "unreadable": str(error)}, []
    row |= {
        "id": run.id,
        "started_at": instant(run).isoformat(),
        "finished": run.finished_at is not None,
        "chaos": run.chaos is not None,
        "scenario": run.dataset.scenario,
        "rows": run.dataset.rows,
        "faults": run.dataset.faults,
        "server": f"{run.server.kind} {run.server.version}",
        "machine": machine(run.environment),
        "commit": run.environment.commit,
    }
    return row, [{"path": str(path), **_engine_row(run, engine)} for engine in engines(run)]


def _engine_row(run: Run, engine: str) -> dict[str, Any]:
    own = samples(run, engine)
    success = success_of(run, own)
    return {
        "engine": engine,
        "attempted": len(own.trials),
        "ok": len(own.ok),
        "wall_s": _median(own.walls_s),
        "x_floor": _multiple(run, engine, FLOOR),
        "x_legacy": _multiple(run, engine, REFERENCE),
        "peak_bytes": _median(own.peaks_bytes),
        "success": None if success is None else success.rate,
    }


def _multiple(run: Run, engine: str, reference: str) -> float | None:
    """Return an engine's time relative to the reference's in the same run."""
    found = None if engine == reference else time_ratio(run, engine, reference)
    return None if found is None else found.value


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
