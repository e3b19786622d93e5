"""Prepares the input of an engine that takes another form of the dataset than its backup.

The engine ``restore`` restores the dataset once, the result is verified against the ground truth,
and the engine's own command writes its input from that database. None of this is timed, and the
folder is cached.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from harness.engines import registry as engines
from harness.generate.writer import locked
from harness.model.errors import HarnessError
from harness.model.manifest import MANIFEST, SCHEMA_SQL
from harness.model.outcome import End
from harness.trial import meter, output, verify
from harness.trial.attempt import database_of
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.engines.engine import Engine
    from harness.trial.attempt import TrialContext

# A command that takes longer is hanging.
_LIMITS = Limits(timeout_s=24 * 3600.0)


def prepare(
    engine: Engine, context: TrialContext, cache: Path, announce: Callable[[str], None]
) -> Path:
    """Return the folder of an engine's prepared input, after making it if it is missing.

    It is addressed by all that determines its bytes: the dataset's ground truth and schema, the
    server's major version, the command and its version. Processes that need the same one wait
    for the first.

    Args:
        engine: the engine.
        context: the dataset, and the server to restore it on.
        cache: the folder to keep it in.
        announce: called with a line if it has to be made.

    Raises:
        HarnessError: it could not be made; partial files are removed.
    """
    truth = context.manifest
    address = _address(engine, context)
    out = cache / "prepared" / f"{truth.scenario}-{truth.rows}-{truth.faults}-{address}"
    final, partial = out / "final", out / "partial"
    with locked(out):
        if final.is_dir():
            return final
        announce(f"preparing the dataset for {engine.name}, once")
        shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
        try:
            partial.mkdir()
            _prepare(engine, context, partial)
            partial.rename(final)
        except psycopg.Error as error:
            words = error.diag.message_primary or " ".join(str(error).split())
            raise HarnessError(_failed(engine, words)) from error
        except OSError as error:
            raise HarnessError(f"cannot write to {out}: {error.strerror}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return final


def _address(engine: Engine, context: TrialContext) -> str:
    """Hash all that determines the prepared input's bytes."""
    major, *_ = re.split(r"\D", context.server.record.version)
    digest = hashlib.sha256(repr((engine.prepare, engine.prepare_version, major)).encode())
    for name in (MANIFEST, SCHEMA_SQL):
        digest.update((context.backup / name).read_bytes())
    return digest.hexdigest()[:16]


def _prepare(engine: Engine, context: TrialContext, folder: Path) -> None:
    server, backup, truth = context.server, context.backup, context.manifest
    schema_sql = (backup / SCHEMA_SQL).read_text(encoding="utf-8")
    with server.database(schema_sql) as dsn:
        database = database_of(dsn)
        with server.connect(database) as connection:
            others = verify.other_tables(connection, truth)
        words = _restore(engine, context, dsn)
        with server.connect(database) as connection:
            wrong = [
                result.table
                for result in verify.verify(connection, backup, truth, others)
                if result.error or result.found != result.expected or not result.checksum_match
            ]
        if wrong:
            differ = f"after its restore, {', '.join(wrong)} differs from the ground truth; {words}"
            raise HarnessError(_failed(engine, differ))
        values = {"dataset": str(backup.resolve()), "dsn": dsn, "out": str(folder.resolve())}
        _run(engine, engine.prepare_argv(values), engines.environment(server.env), {0})


def _restore(engine: Engine, context: TrialContext, dsn: str) -> str:
    """Restore the dataset's tables by the engine ``restore``, and return its last line of output.

    By one connection, so that the order of the rows is always the same.
    """
    with tempfile.TemporaryDirectory(prefix="restorebench-", ignore_cleanup_errors=True) as scratch:
        values = {
            "backup": str(context.backup.resolve()),
            "dsn": dsn,
            "report": str(Path(scratch) / "report.json"),
            "rejects": str(Path(scratch) / "rejects"),
            "jobs": "1",
        }
        # A file of the backup without a table in the target would stop the restore.
        only = [f"--tables={table.table}" for table in context.manifest.tables]
        argv = (*engines.named("restore").argv(values), *only)
        return _run(engine, argv, engines.environment(context.server.env), {0, 3})


def _run(engine: Engine, argv: tuple[str, ...], env: Mapping[str, str], good: set[int]) -> str:
    """Run a command, and return its last line of output.

    Raises:
        HarnessError: it failed.
    """
    with tempfile.TemporaryDirectory(prefix="restorebench-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        command = meter.Command(
            argv=argv, cwd=folder, env=dict(env), stdout=folder / "stdout", stderr=folder / "stderr"
        )
        outcome = meter.run(command, _LIMITS)
        secrets = [secret for secret in [env.get("PGPASSWORD")] if secret]
        words = output.last_line((command.stderr, command.stdout), secrets) or "no output"
    if outcome.end is not End.EXITED or outcome.exit_code not in good:
        raise HarnessError(_failed(engine, words))
    return words


def _failed(engine: Engine, why: str) -> str:
    return f"the dataset could not be prepared for {engine.name}: {why}"
