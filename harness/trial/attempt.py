"""One trial: an engine in a process of its own, on a fresh database, metered and verified.

``attempt`` does it and says what it saw; ``judge.py`` decides what that makes it. Making the
database and verifying it are no part of the time that is measured.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from harness.engines import registry as engines
from harness.model.errors import HarnessError
from harness.model.manifest import SCHEMA_SQL
from harness.model.outcome import Attempt, End, Outcome
from harness.model.record import NO_REPORT, TableResult
from harness.trial import durability as durable
from harness.trial import meter, verify
from harness.trial import observer as watch
from harness.trial import output as said
from harness.trial import rejects as rejected
from harness.trial.judge import judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.engines.registry import Engine
    from harness.model.manifest import Manifest
    from harness.model.record import Trial
    from harness.servers import RunningServer
    from harness.trial.meter import Interruptible, Limits

# An engine's report is a line a table; more than this is not one.
REPORT_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TrialContext:
    """What all trials of a run share: the server, the dataset, the limits.

    ``jobs`` is how many processes or connections an engine may use that can choose; ``floor`` the
    folder of the encoded dataset, where an engine of the run takes it. ``path`` is where its Python
    looks for modules first, ``variables`` stand in its environment besides.
    """

    server: RunningServer
    backup: Path
    manifest: Manifest
    limits: Limits
    interruptible: Interruptible = contextlib.nullcontext
    jobs: int = 1
    floor: Path | None = None
    path: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


class _Aftermath(NamedTuple):
    """What an engine left behind: what was not on disk, and whom to ask more of it."""

    server: psycopg.Connection[Any]
    unflushed_wal: durable.UnflushedWal | None


@dataclass(frozen=True, slots=True)
class _ScratchFiles:
    """The files of one attempt."""

    folder: Path

    @property
    def stdout(self) -> Path:
        return self.folder / "stdout"

    @property
    def stderr(self) -> Path:
        return self.folder / "stderr"

    @property
    def report(self) -> Path:
        return self.folder / "report.json"

    @property
    def rejects(self) -> Path:
        return self.folder / "rejects"


def attempt(engine: Engine, stage: TrialContext) -> Attempt:
    """Try ``engine`` once on a fresh database of ``stage``, and verify what it did.

    Raises:
        HarnessError: the database could not be made, or the launcher failed.
    """
    schema_sql = (stage.backup / SCHEMA_SQL).read_text(encoding="utf-8")
    with contextlib.ExitStack() as cleanup:
        scratch = _ScratchFiles(Path(cleanup.enter_context(_temporary_folder())))
        dsn = cleanup.enter_context(stage.server.database(schema_sql))
        empty = _tables(stage.server, dsn)
        command = _command(engine, stage, dsn, scratch)
        server = cleanup.enter_context(stage.server.connect())
        noise_since = watch.observe(server, stage.server.pid, _files(stage.backup))
        outcome = meter.run(
            command,
            stage.limits,
            server=meter.ServerProcess(stage.server.pid, stage.server.cgroup),
            interruptible=stage.interruptible,
        )
        unflushed_wal = durable.unflushed_wal(
            server
        )  # at once: the server writes by itself after a while
        noise = noise_since()
        with stage.interruptible():
            tables = _verify_target(stage, dsn, empty, _Aftermath(server, unflushed_wal))
        if engine.keeps_rejects:
            tables = _with_rejects(tables, scratch.rejects, stage.manifest)
        secrets = [secret for secret in [command.env.get("PGPASSWORD")] if secret]
        return Attempt(
            outcome=outcome,
            unmetered=stage.server.unmetered,
            noise=noise,
            tables=tables,
            last_line=said.last_line((scratch.stderr, scratch.stdout), secrets),
            report=_report(scratch.report, secrets, stage.backup.resolve().parent),
        )


def failed_to_start(manifest: Manifest, reason: str) -> Attempt:
    """Return what an attempt comes to that could not be made: no row counts as restored."""
    outcome = Outcome(end=End.NOT_STARTED, error=reason)
    return Attempt(outcome=outcome, tables=_nothing_found(manifest, reason))


def record(blank: Trial, engine: Engine, manifest: Manifest, tried: Attempt) -> Trial:
    """Fill in a trial with what came of it."""
    status, detail = judge(engine, manifest, tried)
    outcome = tried.outcome
    return msgspec.structs.replace(
        blank,
        status=status,
        detail=detail,
        wall_s=outcome.wall_s,
        user_s=outcome.user_s,
        system_s=outcome.system_s,
        peak_bytes=outcome.peak_bytes,
        peak_source=outcome.peak_source,
        curve=outcome.curve,
        server_peak_bytes=outcome.server_peak_bytes,
        server_peak_source=outcome.server_peak_source or tried.unmetered,
        server_curve=outcome.server_curve,
        noise=tried.noise,
        exit_code=outcome.exit_code,
        signal=outcome.signal,
        tables=tried.tables,
        report=tried.report,
    )


def now() -> str:
    """Return this instant as records keep it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def database_of(dsn: str) -> str:
    """Return the name of the database that a URL leads to."""
    return str(conninfo_to_dict(dsn)["dbname"])


def _command(
    engine: Engine, stage: TrialContext, dsn: str, scratch: _ScratchFiles
) -> meter.Command:
    values = {
        "backup": str(stage.backup.resolve()),
        "dsn": dsn,
        "report": str(scratch.report),
        "rejects": str(scratch.rejects),
        "jobs": str(stage.jobs),
        "floor": str(stage.floor.resolve()) if stage.floor is not None else "",
    }
    return meter.Command(
        argv=engine.argv(values),
        cwd=Path.cwd(),
        env=engines.environment({**stage.server.env, **stage.variables}, stage.path),
        stdout=scratch.stdout,
        stderr=scratch.stderr,
    )


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="restorebench-", ignore_cleanup_errors=True)


def _tables(server: RunningServer, dsn: str) -> list[verify.TableName]:
    """Return the tables of the empty target."""
    with server.connect(database_of(dsn)) as target:
        return verify.tables_of(target)


def _files(backup: Path) -> list[Path]:
    """Return the table files of a backup, and what lies beside them."""
    return [path for path in backup.iterdir() if path.is_file()]


def _verify_target(
    stage: TrialContext, dsn: str, empty: Sequence[verify.TableName], left: _Aftermath
) -> tuple[TableResult, ...]:
    """Verify the target; where that cannot be done, no row counts as restored."""
    try:
        with stage.server.connect(database_of(dsn)) as target:
            verify.end_sessions(target)
            transactions = durable.unflushed_transactions(
                left.server, stage.server.pid, left.unflushed_wal
            )
            return durable.check_durability(
                target,
                verify.verify(target, stage.manifest, empty),
                transactions=transactions,
                settings=stage.server.record.settings,
            )
    except (HarnessError, psycopg.OperationalError) as error:
        return _nothing_found(
            stage.manifest, f"could not be verified: {str(error).splitlines()[0]}"
        )


def _nothing_found(manifest: Manifest, reason: str | None) -> tuple[TableResult, ...]:
    return tuple(
        TableResult(
            table=table.table, expected=table.rows, found=0, checksum_match=False, error=reason
        )
        for table in manifest.tables
    )


def _with_rejects(
    tables: tuple[TableResult, ...], folder: Path, manifest: Manifest
) -> tuple[TableResult, ...]:
    """Add to each table whether its rejects are those of the ground truth."""
    try:
        differences = rejected.differences(folder, manifest)
        wrong = {table: str(difference) for table, difference in differences.items()}
    except ValueError as error:
        wrong = dict.fromkeys((table.table for table in tables), str(error))
    return tuple(
        msgspec.structs.replace(
            table,
            rejects_match=table.table not in wrong,
            error=table.error or wrong.get(table.table),
        )
        for table in tables
    )


def _report(path: Path, secrets: Sequence[str], backups: Path) -> msgspec.Raw:
    """Return what the engine says of itself, if it is JSON, without this machine's folders."""
    try:
        with path.open("rb") as file:
            content = file.read(REPORT_LIMIT_BYTES + 1)
        msgspec.json.decode(content)
    except (OSError, msgspec.DecodeError):
        return NO_REPORT
    text = said.redact(content.decode(), secrets)
    return msgspec.Raw(said.without_folders(text, backups, path.parent).encode())
