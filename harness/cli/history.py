"""``python -m harness history``: lists recorded runs, or shows one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.figures import figures
from harness.cli.output import add_format, say, show, write
from harness.cli.values import day_or_month
from harness.history.codec import json_schema
from harness.history.store import choose, open_history, read
from harness.model.errors import ExitCode, InputError
from harness.report import rows as export
from harness.report.chaos import chaos_report
from harness.report.run import bench_report, headline, history_report
from harness.report.trend import trend_report

if TYPE_CHECKING:
    import argparse

    from harness.history.index import Entry, Index
    from harness.model.record import Run
    from harness.report.blocks import Block

_LIMIT = 20

_NO_RUN = "no such run is recorded yet; make one with: python -m harness bench"
FORMATS = ("table", "markdown", "json", "csv")
PYTEST_BENCHMARK = "pytest-benchmark"
_FILTERS = ("engine", "rows", "scenario", "machine", "commit", "since", "until")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``history``."""
    add = parser.add_argument
    add(
        "id", nargs="?", metavar="RUN", help="show this run: the start of its id or file, or latest"
    )
    add(
        "--limit",
        type=int,
        default=_LIMIT,
        metavar="N",
        help="list the newest N (default %(default)s)",
    )
    add("--engine", metavar="NAME", help="runs of this engine")
    add("--rows", type=int, metavar="N", help="runs with this number of rows")
    add("--scenario", metavar="NAME", help="runs of this scenario")
    add("--machine", metavar="TEXT", help="runs on a machine whose name contains TEXT")
    add("--commit", metavar="COMMIT", help="runs of commits that start with COMMIT")
    add(
        "--since",
        type=day_or_month,
        metavar="DATE",
        help="runs from this day or month on, such as 2024-05-31",
    )
    add(
        "--until",
        type=day_or_month,
        metavar="DATE",
        help="runs up to this day or month, inclusive",
    )
    add("--trend", action="store_true", help="one line per run, for the engine of --engine")
    add("--schema", action="store_true", help="print the JSON Schema of a recorded run instead")
    add_results(parser)
    add_format(parser, (*FORMATS, PYTEST_BENCHMARK))


def add_results(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the folder of the history."""
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="folder of the runs (default results/ and results/local/)",
    )


def run(given: argparse.Namespace) -> ExitCode:
    """List runs, or show one.

    Raises:
        HarnessError: there is no such run, or an argument is invalid.
    """
    if given.schema:
        write(json_schema().decode())
        return ExitCode.OK
    if given.limit < 1:
        raise InputError(f"--limit {given.limit} is out of range; write 1 or more")
    if given.trend and given.engine is None:
        raise InputError("--trend needs an engine; name it with --engine")
    if given.format == PYTEST_BENCHMARK and given.id is None:
        raise InputError(f"--format {PYTEST_BENCHMARK} needs one run; name it, or latest")
    from harness.history.index import Filters  # noqa: PLC0415 - see open_index

    filters = Filters(**{name: getattr(given, name) for name in _FILTERS})
    with open_index(given.results) as index:
        if given.id is not None:
            _show_run(choose(index.entries(filters), given.id), given.format)
        elif given.trend or given.format in export.WRITERS:
            rows = index.figures(filters, given.limit)
            if given.format in export.WRITERS:
                write(export.WRITERS[given.format](rows))
            elif rows:
                show(trend_report(rows), given.format)
            else:
                say(_NO_RUN)
        else:
            _list(index.entries(filters), given.limit, given.format)
    return ExitCode.OK


def _show_run(entry: Entry, form: str) -> None:
    recorded = read(Path(entry.path))
    if form == "json":
        write(Path(entry.path).read_text(encoding="utf-8"))
    elif form == "csv":
        write(export.to_csv(export.trials(recorded)))
    elif form == PYTEST_BENCHMARK:
        from harness.gate.pytest_files import encode, from_run  # noqa: PLC0415 - rarely used

        write(encode(from_run(recorded)).decode())
    else:
        show(run_report(recorded), form)


def run_report(run: Run) -> tuple[Block, ...]:
    """Lay out a run in full, of trials or of chaos."""
    if run.chaos is not None:
        return (headline(run), *chaos_report(run.chaos))
    return bench_report(figures(run))


def _list(entries: list[Entry], limit: int, form: str) -> None:
    if not entries:
        say(_NO_RUN)
        return
    # A list shows no ratios; without a reference, none are computed.
    newest = [figures(read(Path(entry.path)), reference=None) for entry in entries[-limit:]]
    show(history_report(tuple(newest), older=len(entries) - len(newest)), form)


def require_folder(results: Path) -> None:
    """Raise InputError if ``--results`` names no folder."""
    if not results.is_dir():
        raise InputError(f"--results {results}: there is no such folder")


def open_index(results: Path | None) -> Index:
    """Open the index of the history, and print a warning for each file that is skipped.

    Raises:
        HarnessError: the folder does not exist, or a file in it cannot be examined.
    """
    if results is not None:
        require_folder(results)
    # It imports SQLAlchemy, which no other command needs.
    from harness.history.index import Index  # noqa: PLC0415

    index = Index(open_history(results))
    for path, reason in index.skipped():
        say(f"warning: {path} was skipped: {reason}")
    return index
