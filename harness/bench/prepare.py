"""Prepares the input of engines that take another form of the dataset than its backup.

The engine ``restore`` restores the dataset once, the result is verified against the ground truth,
and each engine's own command writes its input from that database. None of this is timed, and the
folders are cached.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from harness.engines import registry
from harness.generate.writer import locked
from harness.model.errors import HarnessError
from harness.model.manifest import MANIFEST, SCHEMA_SQL
from harness.model.outcome import End
from harness.trial import meter, output, verify
from harness.trial.attempt import database_of
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.engines.engine import Engine
    from harness.trial.attempt import TrialContext

# A command that takes longer is hanging.
_LIMITS = Limits(timeout_s=24 * 3600.0)


def prepare(
    engines: Sequence[Engine], context: TrialContext, cache: Path, announce: Callable[[str], None]
) -> dict[str, Path | HarnessError]:
    """Return the folder of each engine's prepared input, after making those that are missing.

    A folder is addressed by all that determines its bytes: the dataset's ground truth and schema,
    the server's major version, the command and its version. Processes that need the same one wait
    for the first. The dataset is restored once for all engines.

    Args:
        engines: the engines; each has a command that prepares its input.
        context: the dataset, and the server to restore it on.
        cache: the folder to keep the folders in.
        announce: called with a line if some have to be made.

    Returns:
        By the engine's name, its folder, or why that could not be made; partial files are removed.
    """
    folders = {engine: _folder(engine, context, cache) for engine in engines}
    names = ", ".join(engine.name for engine in engines)
    with contextlib.ExitStack() as locks:
        try:
            for folder in sorted(set(folders.values())):
                locks.enter_context(locked(folder.parent))
        except HarnessError as error:
            return dict.fromkeys((engine.name for engine in engines), error)
        made: dict[str, Path | HarnessError] = {
            engine.name: folder for engine, folder in folders.items() if folder.is_dir()
        }
        missing = {folder: engine for engine, folder in folders.items() if not folder.is_dir()}
        if missing:
            announce(f"preparing the dataset for {names}, once")
            outcomes = _prepare(missing, context)
            for engine, folder in folders.items():
                made.setdefault(engine.name, outcomes.get(folder, folder))
        return made


def _folder(engine: Engine, context: TrialContext, cache: Path) -> Path:
    """Return the folder of an engine's prepared input, by a hash of all that it depends on."""
    truth = context.manifest
    major, *_ = re.split(r"\D", context.server.record.version)
    digest = hashlib.sha256(repr((engine.prepare, engine.prepare_version, major)).encode())
    for name in (MANIFEST, SCHEMA_SQL):
        digest.update((context.backup / name).read_bytes())
    address = f"{truth.scenario}-{truth.rows}-{truth.faults}-{digest.hexdigest()[:16]}"
    return cache / "prepared" / address / "final"


def _prepare(
    engines: Mapping[Path, Engine], context: TrialContext
) -> dict[Path, Path | HarnessError]:
    """Restore the dataset, and have each engine's command write its folder."""
    schema_sql = (context.backup / SCHEMA_SQL).read_text(encoding="utf-8")
    try:
        with context.server.database(schema_sql) as dsn:
            _restore(context, dsn)
            return {
                folder: _write(engine, context, dsn, folder) for folder, engine in engines.items()
            }
    except psycopg.Error as error:
        words = error.diag.message_primary or " ".join(str(error).split())
        return dict.fromkeys(engines, _failed(words))
    except HarnessError as error:
        return dict.fromkeys(engines, error)


def _restore(context: TrialContext, dsn: str) -> None:
    """Restore the dataset's tables by the engine ``restore``, and verify the result.

    By one connection, so that the order of the rows is always the same.

    Raises:
        HarnessError: it failed, or the result differs from the ground truth.
    """
    server, backup, truth = context.server, context.backup, context.manifest
    database = database_of(dsn)
    with server.connect(database) as connection:
        others = verify.other_tables(connection, truth)
    with tempfile.TemporaryDirectory(prefix="restorebench-", ignore_cleanup_errors=True) as scratch:
        values = {
            "backup": str(backup.resolve()),
            "dsn": dsn,
            "report": str(Path(scratch) / "report.json"),
            "rejects": str(Path(scratch) / "rejects"),
            "jobs": "1",
        }
        # A file of the backup without a table in the target would stop the restore.
        only = [f"--tables={table.table}" for table in truth.tables]
        argv = (*registry.named("restore").argv(values), *only)
        words = _run(argv, registry.environment(server.env), {0, 3})
    with server.connect(database) as connection:
        wrong = [
            result.table
            for result in verify.verify(connection, backup, truth, others)
            if result.error or result.found != result.expected or not result.checksum_match
        ]
    if wrong:
        names = ", ".join(wrong)
        raise _failed(f"after its restore, {names} differs from the ground truth; {words}")


def _write(engine: Engine, context: TrialContext, dsn: str, folder: Path) -> Path | HarnessError:
    """Have an engine's command write its folder, which is there only when it is whole."""
    partial = folder.with_name("partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
    try:
        partial.mkdir()
        out = str(partial.resolve())
        values = {"dataset": str(context.backup.resolve()), "dsn": dsn, "out": out}
        _run(engine.prepare_argv(values), registry.environment(context.server.env), {0})
        partial.rename(folder)
    except HarnessError as error:
        return error
    except OSError as error:
        return HarnessError(f"cannot write to {folder.parent}: {error.strerror}")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _run(argv: tuple[str, ...], env: Mapping[str, str], good: set[int]) -> str:
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
        raise _failed(words)
    return words


def _failed(why: str) -> HarnessError:
    return HarnessError(f"the dataset could not be prepared: {why}")
