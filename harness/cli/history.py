"""The commands that read the history: ``history`` and ``compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.compare import Basis, compare
from harness.analysis.figures import figures
from harness.history.codec import json_schema
from harness.history.store import choose, open_history, read
from harness.model.errors import ExitCode, InputError
from harness.report import rows as export
from harness.report.chaos import chaos_report
from harness.report.compare import compare_report
from harness.report.run import bench_report, headline, history_report
from harness.report.trend import trend_report

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from harness.history.index import Entry, Index
    from harness.model.record import Run
    from harness.report.blocks import Block

    Show = Callable[[tuple[Block, ...]], None]
    Say = Callable[[str], None]

_LIMIT = 20
_RUNS_COMPARED = 2
FORMATS = ("table", "markdown", "json", "csv")
PYTEST_BENCHMARK = "pytest-benchmark"
_FILTERS = ("engine", "rows", "scenario", "machine", "commit", "since", "until")


def add_history(parser: argparse.ArgumentParser) -> None:
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
    add("--rows", type=int, metavar="N", help="runs that restored so many rows")
    add("--scenario", metavar="NAME", help="runs of this scenario")
    add("--machine", metavar="TEXT", help="runs on a machine with this in its name")
    add("--commit", metavar="COMMIT", help="runs of this commit, or of those that start so")
    add("--since", metavar="DATE", help="runs from this day or month on, such as 2024-05-31")
    add("--until", metavar="DATE", help="runs until this day or month, which is taken in")
    add("--trend", action="store_true", help="one line a run, for the engine that --engine names")
    add("--schema", action="store_true", help="print the JSON Schema of a recorded run instead")
    add_results(parser)
    add_format(parser, (*FORMATS, PYTEST_BENCHMARK))


def add_compare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``compare``."""
    parser.add_argument(
        "ids",
        nargs="*",
        metavar="RUN",
        help="before and after: the starts of their ids or files, or latest (default the newest "
        "two); one alone is compared with the latest; or two files of pytest-benchmark",
    )
    parser.add_argument(
        "--times",
        action="store_true",
        help="compare times as they are, or refuse to where the machines differ",
    )
    add_results(parser)
    add_format(parser, FORMATS)


def add_results(parser: argparse.ArgumentParser) -> None:
    """Add where the history lies."""
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="folder of the runs (default results/ and results/local/)",
    )


def add_format(parser: argparse.ArgumentParser, formats: tuple[str, ...]) -> None:
    """Add how the output is written."""
    parser.add_argument(
        "--format",
        choices=formats,
        default="table",
        help="how to write it (default %(default)s)",
    )


def history(given: argparse.Namespace, show: Show, say: Say, write: Say) -> ExitCode:
    """List runs, or show one.

    Args:
        given: the parsed arguments.
        show: draws blocks of text and tables.
        say: told warnings, a line each.
        write: takes what is written as it is.

    Raises:
        HarnessError: there is no such run, or an argument makes no sense.
    """
    if given.schema:
        write(json_schema().decode())
        return ExitCode.OK
    if given.limit < 1:
        raise InputError(f"--limit {given.limit} makes no sense; write 1 or more")
    if given.trend and given.engine is None:
        raise InputError("--trend is of one engine; name it with --engine")
    if given.format == PYTEST_BENCHMARK and given.id is None:
        raise InputError(f"--format {PYTEST_BENCHMARK} is of one run; name it, or latest")
    from harness.history.index import Filters  # noqa: PLC0415 - see open_index

    filters = Filters(**{name: getattr(given, name) for name in _FILTERS})
    with open_index(given.results, say) as index:
        if given.id is not None:
            _show_run(choose(index.entries(filters), given.id), given.format, show, write)
        elif given.trend or given.format in export.WRITERS:
            rows = index.figures(filters, given.limit)
            if given.format in export.WRITERS:
                write(export.WRITERS[given.format](rows))
            else:
                show(trend_report(rows))
        else:
            _list(index.entries(filters), given.limit, show, say)
    return ExitCode.OK


def compare_runs(given: argparse.Namespace, show: Show, say: Say, write: Say) -> ExitCode:
    """Lay two runs side by side.

    Args:
        given: the parsed arguments.
        show: draws blocks of text and tables.
        say: told warnings, a line each.
        write: takes what is written as it is.

    Raises:
        HarnessError: there are no such runs, or their times cannot be compared as was asked.
    """
    with open_index(given.results, say) as index:
        before, after = _chosen(index.entries(measured=True), given.ids)
    found = compare(read(Path(before.path)), read(Path(after.path)))
    if given.times and found.basis is not Basis.TIMES:
        offer = (
            "without --times, each engine's time as a multiple of floor's and legacy's is compared"
            if found.basis is Basis.RATIOS
            else "restore the same dataset with both"
        )
        raise InputError(
            f"the times of runs {before.id} and {after.id} are not of the same work on the same "
            f"machine and server; {offer}"
        )
    if given.format in export.WRITERS:
        write(export.WRITERS[given.format](export.compared(found)))
    else:
        show(compare_report(found))
    return ExitCode.OK


def _show_run(entry: Entry, form: str, show: Show, write: Say) -> None:
    run = read(Path(entry.path))
    if form == "json":
        write(Path(entry.path).read_text(encoding="utf-8"))
    elif form == "csv":
        write(export.to_csv(export.trials(run)))
    elif form == PYTEST_BENCHMARK:
        from harness.gate import pytest_files as benchmarks  # noqa: PLC0415 - few want it

        write(benchmarks.encode(benchmarks.of_run(run)).decode())
    else:
        show(told(run))


def told(run: Run) -> tuple[Block, ...]:
    """Say in full what a run found, of whichever sort it is."""
    if run.chaos is not None:
        return (headline(run), *chaos_report(run.chaos))
    return bench_report(figures(run))


def _list(entries: list[Entry], limit: int, show: Show, say: Say) -> None:
    if not entries:
        say("no such run is recorded yet; make one with: python -m harness bench")
        return
    # Without a reference, no ratios are worked out; a list shows none.
    newest = [figures(read(Path(entry.path)), reference=None) for entry in entries[-limit:]]
    show(history_report(tuple(newest), older=len(entries) - len(newest)))


def _chosen(entries: list[Entry], ids: list[str]) -> tuple[Entry, Entry]:
    """Return the two runs that were named, or the newest two."""
    if len(ids) > _RUNS_COMPARED:
        raise InputError(f"{len(ids)} runs were named; name two, one or none")
    if len(entries) < _RUNS_COMPARED:
        held = "one run" if entries else "no run"
        raise InputError(
            f"it takes two runs, and the history holds {held}; make another with bench"
        )
    before = choose(entries, ids[0]) if ids else entries[-2]
    after = choose(entries, ids[1]) if len(ids) == _RUNS_COMPARED else entries[-1]
    if before.id == after.id:
        raise InputError(f"both are run {before.id}; name two different ones")
    return before, after


def open_index(results: Path | None, say: Say) -> Index:
    """Open the index of the history, warning of what cannot be read.

    Raises:
        HarnessError: there is no such folder, or a file in it cannot be looked at.
    """
    if results is not None and not results.is_dir():
        raise InputError(f"--results {results}: there is no such folder")
    # With it comes SQLAlchemy, for which no other command should wait.
    from harness.history.index import Index  # noqa: PLC0415

    index = Index(open_history(results))
    for path, reason in index.unreadable():
        say(f"warning: {path} was left out: {reason}")
    return index
