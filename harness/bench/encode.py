"""Encodes a dataset for the engine ``floor``: its rows as the server itself writes them.

The engine ``restore`` restores the dataset once, the result is verified against the ground truth,
and the server copies it out in its binary format. None of this is timed, and the files are cached.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import sql

from harness.engines import registry as engines
from harness.engines.floor import encoded
from harness.generate.writer import locked
from harness.model.errors import HarnessError
from harness.model.manifest import MANIFEST, SCHEMA_SQL
from harness.model.outcome import End
from harness.trial import meter, output, verify
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.manifest import Manifest
    from harness.servers import RunningServer

    Connection = psycopg.Connection[Any]

# Small enough for the connections to finish together, large enough that a file costs nothing: a
# million rows (430 MB) make 30.
PART_BYTES = 16 << 20

# Since this version the server scans the pages of a range alone. Before, it reads the whole table
# for each part, so that there must be few.
_TID_RANGE_SCAN = 140_000
_FEW_PARTS = 8

# A restore that takes longer is hanging.
_LIMITS = Limits(timeout_s=24 * 3600.0)

# Synchronized and parallel scans would change the order of the rows.
_IN_ORDER = "SET synchronize_seqscans = off; SET max_parallel_workers_per_gather = 0"
_TABLE = """
    SELECT n.nspname, c.relname, pg_relation_size(c.oid) / current_setting('block_size')::int,
        pg_table_size(c.oid),
        ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid
            AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s
"""
# The header of a binary COPY file, its trailer, and nothing between.
_NO_ROW_BYTES = 21


class _StoredTable(NamedTuple):
    """A table as it is stored in the database."""

    schema: str
    name: str
    pages: int
    bytes: int
    columns: list[str]


def encode(
    server: RunningServer,
    backup: Path,
    truth: Manifest,
    cache: Path,
    announce: Callable[[str], None],
) -> Path:
    """Return the folder of the encoded dataset, after making it if it is missing.

    It is addressed by all that determines its bytes: the dataset's ground truth and schema, the
    server's major version, and the encoding. Processes that need the same one wait for the first.

    Args:
        server: the server to restore the dataset on.
        backup: the dataset.
        truth: its ground truth.
        cache: the folder to keep it in.
        announce: called with a line if it has to be made.

    Raises:
        HarnessError: it could not be made; partial files are removed.
    """
    out = (
        cache / "floor" / f"{truth.scenario}-{truth.rows}-{truth.faults}-{_address(server, backup)}"
    )
    final, partial = out / "encoded", out / "partial"
    with locked(out):
        if (final / encoded.INDEX).is_file():
            return final
        announce("encoding the dataset for the floor, once")
        for stale in (partial, final):  # left by a killed process, or incomplete
            shutil.rmtree(stale, ignore_errors=True)
        try:
            partial.mkdir()
            _encode(server, backup, truth, partial)
            partial.rename(final)
        except psycopg.Error as error:
            words = error.diag.message_primary or " ".join(str(error).split())
            raise HarnessError(
                f"the dataset could not be encoded for the floor: {words}"
            ) from error
        except OSError as error:
            raise HarnessError(f"cannot write to {out}: {error.strerror}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return final


def _address(server: RunningServer, backup: Path) -> str:
    """Hash all that determines the encoded dataset's bytes."""
    major, *_ = re.split(r"\D", server.record.version)
    digest = hashlib.sha256(f"{encoded.FORMAT_VERSION} {PART_BYTES} {major}".encode())
    for name in (MANIFEST, SCHEMA_SQL):
        digest.update((backup / name).read_bytes())
    return digest.hexdigest()[:16]


def _encode(server: RunningServer, backup: Path, truth: Manifest, folder: Path) -> None:
    schema_sql = (backup / SCHEMA_SQL).read_text(encoding="utf-8")
    with server.database(schema_sql) as dsn:
        database = str(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])
        with server.connect(database) as connection:
            others = verify.other_tables(connection, truth)
        words = _restore(server, backup, truth, dsn)
        with server.connect(database) as connection:
            wrong = [
                result.table
                for result in verify.verify(connection, backup, truth, others)
                if result.error or result.found != result.expected or not result.checksum_match
            ]
            if wrong:
                raise HarnessError(
                    "the dataset could not be encoded for the floor: after its restore,"
                    f" {', '.join(wrong)} differs from the ground truth; {words}"
                )
            _copy_out(connection, truth, folder)


def _restore(server: RunningServer, backup: Path, truth: Manifest, dsn: str) -> str:
    """Restore the dataset's tables by the engine ``restore``, and return its last line of output.

    By one connection, so that the order of the rows is always the same.
    """
    with tempfile.TemporaryDirectory(prefix="restorebench-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        values = {
            "backup": str(backup.resolve()),
            "dsn": dsn,
            "report": str(folder / "report.json"),
            "rejects": str(folder / "rejects"),
            "jobs": "1",
        }
        # A file of the backup without a table in the target would stop the restore.
        only = [f"--tables={table.table}" for table in truth.tables]
        env = engines.environment(server.env)
        command = meter.Command(
            argv=(*engines.named("restore").argv(values), *only),
            cwd=folder,
            env=env,
            stdout=folder / "stdout",
            stderr=folder / "stderr",
        )
        outcome = meter.run(command, _LIMITS)
        secrets = [secret for secret in [env.get("PGPASSWORD")] if secret]
        words = output.last_line((command.stderr, command.stdout), secrets) or "no output"
    if outcome.end is not End.EXITED or outcome.exit_code not in (0, 3):
        raise HarnessError(
            f"the dataset could not be encoded for the floor: restore failed: {words}"
        )
    return words


def _copy_out(connection: Connection, truth: Manifest, folder: Path) -> None:
    connection.execute(_IN_ORDER)
    tables = []
    for number, table in enumerate(truth.tables):
        row = connection.execute(_TABLE, table.name).fetchone()
        if row is None:  # verified a moment ago
            raise HarnessError(
                f"the dataset could not be encoded for the floor: {table.table} is gone"
            )
        stored = _StoredTable(*row)
        tables.append(
            encoded.Table(
                schema=stored.schema,
                table=stored.name,
                columns=tuple(stored.columns),
                parts=tuple(_copy_parts(connection, stored, folder, f"{number:03}")),
            )
        )
    encoded.save(folder, encoded.Encoded(tables=tuple(tables)))


def _copy_parts(
    connection: Connection, stored: _StoredTable, folder: Path, stem: str
) -> list[encoded.Part]:
    """Copy a table out in parts, split between its pages; an empty table has none."""
    parts = -(-stored.bytes // PART_BYTES)
    if connection.info.server_version < _TID_RANGE_SCAN:
        parts = min(parts, _FEW_PARTS)
    step = -(-stored.pages // max(parts, 1))
    made = []
    for number, first in enumerate(range(0, stored.pages, max(step, 1))):
        path = folder / f"{stem}-{number:05}.copy"
        query = sql.SQL(
            "COPY (SELECT {columns} FROM ONLY {table} WHERE ctid >= {first} AND ctid < {end})"
            " TO STDOUT (FORMAT binary)"
        ).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, stored.columns)),
            table=sql.Identifier(stored.schema, stored.name),
            first=sql.Literal(f"({first},0)"),
            end=sql.Literal(f"({first + step},0)"),
        )
        with connection.cursor().copy(query) as copy, path.open("wb") as file:
            for data in copy:
                file.write(data)
        size = path.stat().st_size
        if size > _NO_ROW_BYTES:
            made.append(encoded.Part(path.name, size))
        else:
            path.unlink()
    return made
