"""``python -m harness.engines.floor``: the engine's command line, and all that it prints."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psycopg

from harness.engines.floor.run import FIRST_COPY, Floor
from harness.model.errors import ExitCode, HarnessError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.engines.floor.run import Loaded

_REPORT_SCHEMA = 2
_START_TIME = 19  # the field of /proc/self/stat, counted from behind the name


def main(arguments: Sequence[str] | None = None) -> int:
    """Load an encoded dataset and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.engines.floor",
        description="Send rows that are encoded already into empty tables, as fast as they go in.",
    )
    parser.add_argument("folder", type=Path, help="the encoded dataset, which bench makes")
    parser.add_argument("--dsn", required=True, help="the target, its tables empty")
    parser.add_argument("--jobs", type=int, default=1, help="connections (default %(default)s)")
    parser.add_argument("--report", type=Path, help="write what was done as JSON")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs} makes no sense; write 1 or more")
    started_s, age_s = time.monotonic(), _age_s()
    try:
        loaded = Floor(options.folder, options.dsn, options.jobs).run()
    except HarnessError as error:
        return _fail(str(error), error.exit_code)
    except psycopg.OperationalError as error:
        # libpq's own words hold no password.
        return _fail(" ".join(str(error).split()))
    except psycopg.Error as error:
        return _fail(error.diag.message_primary or " ".join(str(error).split()))
    except OSError as error:
        return _fail(str(error))
    if options.report is not None:
        wall_s, start_up_s = time.monotonic() - started_s, None
        if age_s is not None and FIRST_COPY in loaded.phases_s:
            start_up_s = round(age_s + loaded.phases_s[FIRST_COPY], 3)
        options.report.write_bytes(_report(loaded, options.jobs, wall_s, start_up_s))
    return ExitCode.OK


def _age_s() -> float | None:
    """Return how long ago this process began, as far as the kernel says: in hundredths of s."""
    try:
        after_name = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2]
    except OSError:
        return None
    began_s = int(after_name.split()[_START_TIME]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began_s


def _report(loaded: Loaded, jobs: int, wall_s: float, start_up_s: float | None) -> bytes:
    tables = [
        {"table": table, "read": rows, "loaded": rows, "duplicates": 0, "rejected": 0}
        for table, rows in loaded.rows.items()
    ]
    return msgspec.json.encode(
        {
            "schema": _REPORT_SCHEMA,
            "engine": "floor",
            "jobs": jobs,
            "wall_s": round(wall_s, 3),
            "start_up_s": start_up_s,
            "phases_s": loaded.phases_s,
            "tables": tables,
        }
    )


def _fail(said: str, code: ExitCode = ExitCode.FAILED) -> int:
    print(f"python -m harness.engines.floor: {said}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
