"""``python -m harness scale``: the predicted time of a restore on described hardware."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.bench.options import CACHE
from harness.cli.docs import published_runs
from harness.cli.output import add_format, say, show_report, write
from harness.cli.values import row_count, size_bytes, speed_bytes_s
from harness.model.errors import ExitCode, InputError
from harness.scale import costs as stored
from harness.scale.describe import prediction_data, prediction_report
from harness.scale.predict import predict, with_step
from harness.scale.work import Hardware, Load, sort_bytes

if TYPE_CHECKING:
    import argparse

    from harness.scale.predict import Prediction

# The larger of the two sizes at which the costs are measured.
MEASURED_ROWS = 1_000_000
MEASURED_JOBS = 2

# The time of a simulation grows with their square: 1,000 take 3 s, 4,000 take 20 s.
_MAX_JOBS = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``scale``."""
    add = parser.add_argument
    add("--rows", type=row_count, metavar="N", help="records: 100M, 1B (default 1B)")
    add("--server-cores", type=int, default=16, metavar="N", help="default %(default)s")
    add(
        "--machines",
        type=int,
        default=1,
        metavar="N",
        help="client machines; 0: the restorer runs on the server (default %(default)s)",
    )
    add("--client-cores", type=int, default=4, metavar="N", help="of each (default %(default)s)")
    add(
        "--jobs",
        type=int,
        metavar="N",
        help="connections of all restorers together, at most 1000 (default: one for each core of "
        f"the server; with --measure: {MEASURED_JOBS})",
    )
    add("--network", default="10Gbit", metavar="SPEED", help="10Gbit, 1GB/s (default %(default)s)")
    add("--disk", default="1GB/s", metavar="SPEED", help="500MB/s, 8Gbit (default %(default)s)")
    add("--memory", default="64GiB", metavar="SIZE", help="the server's (default %(default)s)")
    add(
        "--wal-level",
        choices=("minimal", "replica"),
        default="replica",
        help="of the server (default %(default)s)",
    )
    add("--compress", choices=("none", "gz", "zst"), default="none", help="default %(default)s")
    add("--costs", type=Path, metavar="FILE", help="measured costs (default: those of the project)")
    add(
        "--measure",
        action="store_true",
        help="measure the costs on this machine, in a checkout, and write them to FILE of --costs; "
        f"--rows is the larger of the two sizes (default {MEASURED_ROWS})",
    )
    add(
        "--calibrate",
        type=Path,
        metavar="DIR",
        help="with --measure: take the totals from the runs recorded in DIR/YYYY-MM-DD",
    )
    add_format(parser, ("table", "json"))


def run(options: argparse.Namespace) -> int:
    """Predict a restore, or measure what one costs.

    Raises:
        HarnessError: an argument is out of range, or the measurement failed.
    """
    if options.rows is not None and options.rows < 0:
        raise InputError("--rows is out of range; write 0 or more")
    if options.jobs is not None and not 1 <= options.jobs <= _MAX_JOBS:
        raise InputError(f"--jobs is out of range; write 1 to {_MAX_JOBS}")
    if options.measure:
        return _measure(options)
    if options.calibrate is not None:
        raise InputError("--calibrate needs --measure, whose totals it takes; add that")
    costs = stored.load(options.costs or stored.STORED)
    hardware = _hardware(options)
    jobs = options.jobs or min(options.server_cores, _MAX_JOBS)
    load = Load(
        rows=1_000_000_000 if options.rows is None else options.rows,
        jobs=jobs,
        sort_bytes=sort_bytes(hardware.memory_bytes, jobs),
        minimal_wal=options.wal_level == "minimal",
        compression=options.compress,
    )
    found: Prediction = with_step(costs, predict(costs, load, hardware))
    show_report(found, prediction_report, prediction_data, options.format)
    return ExitCode.OK


def _hardware(options: argparse.Namespace) -> Hardware:
    least = {"server_cores": 1, "client_cores": 1, "machines": 0}
    for name, number in least.items():
        if getattr(options, name) < number:
            flag = name.replace("_", "-")
            raise InputError(f"--{flag} is out of range; write {number} or more")
    return Hardware(
        server_cores=options.server_cores,
        client_cores=options.client_cores,
        machines=options.machines,
        network_bytes_s=speed_bytes_s(options.network),
        disk_bytes_s=speed_bytes_s(options.disk),
        memory_bytes=size_bytes(options.memory),
    )


def _measure(options: argparse.Namespace) -> int:
    from harness.scale.measure import MeasureOptions, measure  # noqa: PLC0415 - as bench imports

    if options.costs is None:
        raise InputError("--measure needs a file for the costs; name it by --costs FILE")
    runs = published_runs(options.calibrate) if options.calibrate is not None else ()
    rows = MEASURED_ROWS if options.rows is None else options.rows
    jobs = options.jobs or MEASURED_JOBS
    costs = measure(MeasureOptions(rows, jobs, CACHE, runs), announce=say)
    stored.save(costs, options.costs)
    write(f"{options.costs}\n")
    return ExitCode.OK
