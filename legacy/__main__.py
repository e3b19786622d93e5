"""``python -m legacy BACKUP --dsn URL [--report FILE]``: arguments, exit codes, what is printed."""

from __future__ import annotations

import argparse
import json
import logging
import re
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from legacy.loadall import TableOutcome

OK, FAILED, USAGE = 0, 1, 2
SHELLS = ("bash", "zsh", "tcsh")

EPILOG = """\
exit codes:
  0  all restored
  1  failed: a table was lost, or the database does not answer
  2  usage or input that makes no sense
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Restore, say which tables were lost, and return the exit code."""
    options = _parser().parse_args(arguments)
    from legacy.loadall import (  # noqa: PLC0415 - SQLAlchemy, which --help does without
        DatabaseError,
        InputError,
        find_backup,
        restore,
    )

    # psycopg tells of every pipeline that an error ended; the error itself is told below.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    started = time.perf_counter()
    outcomes: list[TableOutcome] = []
    error, code = None, OK
    try:
        backup = find_backup(options.backup)
        outcomes = restore(backup, options.dsn, options.tables, _say_lost, driver=options.driver)
        code = FAILED if any(outcome.error for outcome in outcomes) else OK
    except (InputError, OSError) as problem:
        error, code = _one_line(problem), USAGE
    except (DatabaseError, MemoryError) as problem:
        error, code = _one_line(problem), FAILED
    except KeyboardInterrupt:
        error, code = "stopped; nothing was restored", FAILED
    if error is not None:
        _say(error)
    if options.report is not None:
        code = _write_report(options, outcomes, error, time.perf_counter() - started) or code
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_program(),
        description="Restore a JSON backup naively: each file whole, in one insert.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("backup", type=Path, metavar="BACKUP", help="a backup folder, or a root of stamped ones")
    add("--dsn", required=True, metavar="URL", help="the database; PGPASSWORD etc. are honoured")
    add("--report", type=Path, metavar="FILE", help="write what happened to this file, as JSON")
    add("--driver", choices=("psycopg", "psycopg2"), default="psycopg", help="default %(default)s")
    add("--tables", type=_names, metavar="A,B,C", help="which tables, in which order")
    add("--print-completion", action=PrintCompletion, choices=SHELLS, help="for a shell; then end")
    return parser


class PrintCompletion(argparse.Action):
    """Prints what completes the command line in a shell, and ends the command."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002 - argparse's
        values: object,
        option_string: str | None = None,  # noqa: ARG002 - argparse's
    ) -> None:
        """Print the script."""
        try:
            import shtab  # noqa: PLC0415 - an extra
        except ModuleNotFoundError:
            parser.error("completion needs shtab: python -m pip install 'restorebench[completion]'")
        for action in parser._actions:  # noqa: SLF001 - argparse offers no list
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined] # shtab's own
        print(shtab.complete(parser, shell=str(values)))
        parser.exit()


def _program() -> str:
    """Return how the command was called."""
    return "db-restore" if Path(sys.argv[0]).stem == "db-restore" else "python -m legacy"


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _say_lost(outcome: TableOutcome) -> None:
    records = f", all {outcome.read} records of it" if outcome.read else ""
    _say(f"{outcome.table} is lost{records}: {outcome.error}")


def _say(text: str) -> None:
    print(f"legacy: {text}", file=sys.stderr)


def _one_line(problem: BaseException) -> str:
    if isinstance(problem, MemoryError):
        return "out of memory; nothing was restored"
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]


def _write_report(
    options: argparse.Namespace, outcomes: list[TableOutcome], error: str | None, wall_s: float
) -> int:
    """Write the report (docs/interfaces.md); say so and return an exit code if that fails."""
    report = {
        "schema": 1,
        "engine": "legacy",
        "backup": str(options.backup),
        "wall_s": wall_s,
        "peak_bytes": _peak_bytes(),
        "tables": [_table(outcome) for outcome in outcomes],
        "rejects": None,
        "error": error,
    }
    try:
        options.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as problem:
        _say(f"cannot write the report: {problem}")
        return USAGE
    return OK


def _table(outcome: TableOutcome) -> dict[str, str | int | float | None]:
    return {
        "table": outcome.table,
        "read": outcome.read,
        "loaded": outcome.loaded,
        "duplicates": 0,
        "rejected": outcome.read - outcome.loaded,
        "wall_s": outcome.wall_s,
        "error": outcome.error,
    }


def _peak_bytes() -> int:
    """Return the peak of this process's resident memory."""
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss survives exec, and would tell the peak of whoever started this process.
        found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    sys.exit(main())
