"""Measures the costs of a restore: whole restores, and the statements of one, at two sizes.

``restore`` runs as a process, as in a trial. What reading and decoding take of its time is measured
by the checkout's own script for that; the rest of it is sending.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psycopg

from harness.engines import registry
from harness.engines.floor.encode import copy_out
from harness.generate import DatasetSpec, cached
from harness.model import manifest
from harness.model.errors import HarnessError, InputError
from harness.model.manifest import SCHEMA_SQL
from harness.model.outcome import End, Outcome
from harness.scale.calibrate import Observed, calibrated, observed, observed_runs
from harness.scale.costs import ClientCosts, Costs, Machine
from harness.scale.fit import Sizes, table_costs
from harness.scale.statements import ServerClock, StatementTimer, TableTimes
from harness.servers import open_server
from harness.servers.errors import one_line
from harness.trial import meter
from harness.trial.environment import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.model.record import Run
    from harness.scale.work import Compression
    from harness.servers import RunningServer

# Tables of fewer records are not cut, and their indexes take less than a statement does.
LEAST_ROWS = 10_000
# The smaller size is this share of the larger one.
_SMALL = 10
_REPEATS = 3
_LIMITS = meter.Limits(timeout_s=3600.0)
_RATES = "restore.tests.load.client_rates"
# Autovacuum would add its own processor time to that of the statements.
_SETTINGS = {"autovacuum": "off"}


class _Rates(msgspec.Struct):
    """What the script for the restorer's side prints."""

    read_s: float
    decode_s: float


@dataclass(frozen=True, slots=True)
class MeasureOptions:
    """What is measured.

    Args:
        rows: the larger size.
        jobs: connections of the whole restores.
        cache: where generated datasets are kept.
        recorded: recorded runs for the totals, made on a quiet machine; none: restores made here.
    """

    rows: int
    jobs: int
    cache: Path
    recorded: tuple[Run, ...] = ()


def measure(options: MeasureOptions, announce: Callable[[str], None]) -> Costs:
    """Measure the costs on an embedded server of this machine.

    Raises:
        InputError: there are too few rows, or no recorded restores of these sizes.
        HarnessError: no server, or a restore failed.
    """
    if options.rows < LEAST_ROWS:
        raise InputError(
            f"--rows {options.rows} is too few to measure costs per record; "
            f"write {LEAST_ROWS} or more"
        )
    sizes = (options.rows // _SMALL, options.rows)
    recorded = [
        each
        for each in observed_runs(options.recorded)
        if each.load.rows in sizes and each.load.minimal_wal
    ]
    if options.recorded and {each.load.rows for each in recorded} != set(sizes):
        raise InputError(
            f"--calibrate has no restores of {sizes[0]:,} and {sizes[1]:,} records with "
            "wal_level=minimal; choose another --rows, or leave it out"
        )
    try:
        with open_server("embedded", announce=announce, settings=_SETTINGS) as server:
            return _Measurement(server, options, announce).run(sizes, recorded)
    except psycopg.Error as error:
        raise HarnessError(
            f"the costs could not be measured: {one_line(error)}; check the free space of TMPDIR"
        ) from error


@dataclass(frozen=True, slots=True)
class _Measurement:
    server: RunningServer
    options: MeasureOptions
    announce: Callable[[str], None]

    def run(self, sizes: tuple[int, int], recorded: Sequence[Observed]) -> Costs:
        """Measure, fit and calibrate; with what was observed here if nothing was recorded."""
        rates = self._rates(sizes[1])
        made = [self._restores(rows) for rows in sizes]
        client = self._client(made, rates)
        timed = [self._statements(rows) for rows in (0, *sizes)]
        (empty, _), (small, _), (large, parallel) = timed
        machine = fingerprint()
        costs = Costs(
            machine=Machine(
                measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
                cpu=machine.cpu,
                cores=machine.cores,
                memory_bytes=machine.memory_bytes,
                totals_cpu=machine.cpu,
                postgresql=self.server.record.version,
                commit=machine.commit,
            ),
            scenario=DatasetSpec(rows=0).scenario,
            sizes=sizes,
            client=client,
            client_fixed_s=0.0,
            server_fixed_s=0.0,
            server_factor=1.0,
            parallel=parallel,
            tables=table_costs(Sizes(empty, small, large), self._json_bytes(sizes[1])),
        )
        return calibrated(costs, recorded or made)

    def _statements(self, rows: int) -> tuple[dict[str, TableTimes], float]:
        """Time the statements of one size."""
        self.announce(f"statements of {rows:,} records")
        backup = self._backup(rows)
        names = [table.name for table in manifest.load(backup).tables]
        with tempfile.TemporaryDirectory(prefix="restorebench-") as scratch:
            with self.server.database(_schema(backup)) as dsn:
                self._restore(backup, dsn, 1)
                with psycopg.connect(dsn) as connection:
                    copy_out(connection, names, Path(scratch))
            with self.server.database(_schema(backup)) as dsn:
                timer = StatementTimer(Path(scratch), dsn, ServerClock(self.server.pid))
                return timer.run(), timer.parallel

    def _restores(self, rows: int, compression: Compression = "none") -> Observed:
        """Restore one size some times."""
        self.announce(f"restores of {rows:,} records, compression {compression}")
        backup = self._backup(rows, compression)
        outcomes = [self._fresh_restore(backup) for _ in range(_REPEATS)]
        curves = [each.server_cpu_curve for each in outcomes]
        return observed(
            *(rows, self.options.jobs, self.server.record, fingerprint()),
            wall_s=[each.wall_s or 0.0 for each in outcomes],
            client_s=[_cpu_s(each) for each in outcomes],
            server_s=[each.cpu_ms[-1] / 1000 for each in curves if each is not None],
        )

    def _client(self, made: Sequence[Observed], rates: _Rates) -> ClientCosts:
        """Split the restorer's time for a record, and add what decompression costs."""
        small, large = made
        rows = large.load.rows
        each_s = (large.client_s - small.client_s) / (rows - small.load.rows)
        known_s = rates.read_s + rates.decode_s
        extra_s = {}
        compressions: tuple[Compression, ...] = ("gz", "zst")
        for compression in compressions:
            packed = self._restores(int(rows), compression)
            extra_s[compression] = max(packed.client_s - large.client_s, 0.0) / rows
        return ClientCosts(
            read_s=rates.read_s,
            decode_s=rates.decode_s,
            send_s=max(each_s - known_s, 0.0),
            gz_s=extra_s["gz"],
            zst_s=extra_s["zst"],
        )

    def _rates(self, rows: int) -> _Rates:
        self.announce(f"reading and decoding {rows:,} records")
        backup = self._backup(rows)
        with self.server.database(_schema(backup)) as dsn:
            words = self._run((sys.executable, "-m", _RATES, str(backup), f"--dsn={dsn}"))[1]
        return msgspec.json.decode(words, type=_Rates)

    def _fresh_restore(self, backup: Path) -> Outcome:
        with self.server.database(_schema(backup)) as dsn:
            return self._restore(backup, dsn, self.options.jobs)

    def _restore(self, backup: Path, dsn: str, jobs: int) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="restorebench-") as scratch:
            values = {
                "backup": str(backup),
                "dsn": dsn,
                "report": str(Path(scratch) / "report.json"),
                "rejects": str(Path(scratch) / "rejects"),
                "jobs": str(jobs),
            }
            tables = [table.table for table in manifest.load(backup).tables]
            only = [f"--tables={table}" for table in tables]
            return self._run((*registry.named("restore").argv(values), *only))[0]

    def _run(self, argv: tuple[str, ...]) -> tuple[Outcome, str]:
        """Run a command, metered; return its outcome and its output.

        Raises:
            HarnessError: it failed.
        """
        with tempfile.TemporaryDirectory(prefix="restorebench-") as scratch:
            folder = Path(scratch)
            command = meter.Command(
                argv=argv,
                cwd=folder,
                env=registry.environment(self.server.env),
                stdout=folder / "stdout",
                stderr=folder / "stderr",
            )
            outcome = meter.run(command, _LIMITS, server=meter.ServerProcess(self.server.pid))
            if outcome.end is not End.EXITED or outcome.exit_code != 0:
                lines = command.stderr.read_text("utf-8", "replace").strip().splitlines()
                raise HarnessError(
                    f"{' '.join(argv[1:3])} failed: {lines[-1] if lines else 'no output'}; "
                    "run it by hand to see why"
                )
            return outcome, command.stdout.read_text("utf-8")

    def _backup(self, rows: int, compress: Compression = "none") -> Path:
        spec = DatasetSpec(rows=rows, compress=compress)
        return cached(spec, self.options.cache).resolve()

    def _json_bytes(self, rows: int) -> dict[str, int]:
        return {each.table: each.bytes for each in manifest.load(self._backup(rows)).tables}


def _schema(backup: Path) -> str:
    return (backup / SCHEMA_SQL).read_text(encoding="utf-8")


def _cpu_s(outcome: Outcome) -> float:
    return (outcome.user_s or 0.0) + (outcome.system_s or 0.0)
