"""One trial: an engine in a process of its own, on a fresh database, metered and verified.

``attempt`` runs it and reports what it observed; ``judge.py`` decides its status. Creating the
database and verifying it are not part of the measured time.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from psycopg.conninfo import conninfo_to_dict

from harness.engines import registry as engines
from harness.model.manifest import SCHEMA_SQL
from harness.model.outcome import Attempt, End, Outcome
from harness.model.record import NO_REPORT
from harness.trial import aftermath, durability, meter, observer, output, relay
from harness.trial.judge import judge
from harness.trial.view import backup_view, changed, stamp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.engines.engine import Engine
    from harness.model.manifest import Manifest
    from harness.model.record import Trial
    from harness.servers import RunningServer
    from harness.trial.meter import Interruptible, Limits


@dataclass(frozen=True, slots=True)
class TrialContext:
    """What all trials of a run share: the server, the dataset, the limits.

    ``jobs`` is the number of connections or processes for engines that take it; ``prepared`` the
    folder that an engine takes in place of the backup. With ``traffic``, a relay counts the bytes
    between the engine and the server. ``path`` is searched first for Python modules, ``variables``
    are added to the engine's environment.
    """

    server: RunningServer
    backup: Path
    manifest: Manifest
    limits: Limits
    interruptible: Interruptible = contextlib.nullcontext
    jobs: int = 1
    prepared: Path | None = None
    traffic: bool = False
    path: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


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


def attempt(engine: Engine, context: TrialContext) -> Attempt:
    """Run ``engine`` once on a fresh database of ``context``, and verify the result.

    Raises:
        HarnessError: the database could not be created, or the launcher failed.
    """
    schema_sql = (context.backup / SCHEMA_SQL).read_text(encoding="utf-8")
    with contextlib.ExitStack() as cleanup:
        scratch = _ScratchFiles(Path(cleanup.enter_context(_temporary_folder())))
        view = cleanup.enter_context(backup_view(context.backup))
        dsn = cleanup.enter_context(context.server.database(schema_sql))
        database = database_of(dsn)
        before = aftermath.take_baseline(context.server, database, context.manifest)
        subject = aftermath.Subject(
            context.server, database, context.backup, context.manifest, before
        )
        counted, traffic = dsn, None
        if context.traffic:
            counted, traffic = cleanup.enter_context(relay.counted(dsn))
        command = _command(engine, context, view, counted, scratch)
        server = cleanup.enter_context(context.server.connect())
        files = stamp(view, context.backup)
        noise_since = observer.observe(server, context.server.pid, _files(view))
        outcome = meter.run(
            command,
            context.limits,
            server=meter.ServerProcess(context.server.pid, context.server.cgroup),
            interruptible=context.interruptible,
        )
        # At once: the server flushes by itself after a while.
        state = durability.state_at_end(server)
        noise = noise_since()
        with context.interruptible():
            verified = aftermath.verify_target(subject, aftermath.ServerAtEnd(server, state))
        tables = verified.tables
        if engine.keeps_rejects:
            tables = aftermath.with_rejects(tables, scratch.rejects, context.manifest)
        secrets = [secret for secret in [command.env.get("PGPASSWORD")] if secret]
        report, faults = _report(scratch.report, secrets, view.parent)
        return Attempt(
            outcome=outcome,
            unmetered=context.server.unmetered,
            noise=noise,
            tables=tables,
            differences=(*changed(files, view), *faults, *verified.differences),
            without_statistics=verified.without_statistics,
            sent_curve=traffic.curve("sent") if traffic else None,
            received_curve=traffic.curve("received") if traffic else None,
            last_line=output.last_line((scratch.stderr, scratch.stdout), secrets),
            report=report,
        )


def failed_to_start(manifest: Manifest, reason: str) -> Attempt:
    """Return an attempt that could not be started: no row counts as restored."""
    outcome = Outcome(end=End.NOT_STARTED, error=reason)
    return Attempt(outcome=outcome, tables=aftermath.nothing_found(manifest, reason))


def record(blank: Trial, engine: Engine, manifest: Manifest, tried: Attempt) -> Trial:
    """Complete a trial with the outcome of its attempt."""
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
        total_peak_bytes=outcome.total_peak_bytes,
        cpu_curve=outcome.cpu_curve,
        server_cpu_curve=outcome.server_cpu_curve,
        sent_curve=tried.sent_curve,
        received_curve=tried.received_curve,
        noise=tried.noise,
        exit_code=outcome.exit_code,
        signal=outcome.signal,
        tables=tried.tables,
        differences=tried.differences,
        without_statistics=tried.without_statistics,
        report=tried.report,
    )


def now() -> str:
    """Return the current time, as recorded."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def database_of(dsn: str) -> str:
    """Return the database named in a URL."""
    return str(conninfo_to_dict(dsn)["dbname"])


def _command(
    engine: Engine, context: TrialContext, view: Path, dsn: str, scratch: _ScratchFiles
) -> meter.Command:
    values = {
        "backup": str(view),
        "dsn": dsn,
        "report": str(scratch.report),
        "rejects": str(scratch.rejects),
        "jobs": str(context.jobs),
        "prepared": str(context.prepared.resolve()) if context.prepared is not None else "",
    }
    return meter.Command(
        argv=engine.argv(values),
        cwd=Path.cwd(),
        env=engines.environment({**context.server.env, **context.variables}, context.path),
        stdout=scratch.stdout,
        stderr=scratch.stderr,
    )


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="restorebench-", ignore_cleanup_errors=True)


def _files(backup: Path) -> list[Path]:
    """Return the files of a backup."""
    return [path for path in backup.iterdir() if path.is_file()]


def _report(
    path: Path, secrets: Sequence[str], backups: Path
) -> tuple[msgspec.Raw, tuple[str, ...]]:
    """Return the engine's report without this machine's folders, and what is wrong with it."""
    try:
        text = output.read_report(path)
    except ValueError as error:
        return NO_REPORT, (str(error),)
    if text is None:
        return NO_REPORT, ()
    bare = output.without_folders(output.redact(text, secrets), backups, path.parent)
    return msgspec.Raw(bare.encode()), ()
