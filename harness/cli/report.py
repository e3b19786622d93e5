"""``python -m harness report``: writes runs as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.history import add_results, open_index
from harness.cli.output import say, write_page
from harness.history.store import LATEST, choose, read
from harness.model.errors import ExitCode, InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from harness.model.record import Run

DEFAULT_OUT = Path("build/report/index.html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``report``."""
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="a run to show: the start of its id or file, or latest; several to see how figures "
        "grow with the rows (default latest)",
    )
    parser.add_argument("--all", action="store_true", help="show every run of the folder")
    parser.add_argument(
        "--out",
        type=Path,
        default=DEFAULT_OUT,
        metavar="FILE",
        help="the page to write (HTML; default %(default)s)",
    )
    add_results(parser)


def run(given: argparse.Namespace) -> ExitCode:
    """Write the page.

    Raises:
        HarnessError: there is no such run, it has no trials, or the page cannot be written.
    """
    from harness.report.html.run_page import MAX_RUNS, run_page  # noqa: PLC0415 - Jinja2

    if given.all and given.runs:
        raise InputError("--all shows every run; name no run beside it")
    chosen = _all(given.results) if given.all else _chosen(given.results, given.runs or [LATEST])
    if len(chosen) > MAX_RUNS:
        raise InputError(f"{len(chosen)} runs are too many for a page; name {MAX_RUNS} or fewer")
    write_page(given.out, run_page(chosen))
    say(f"{given.out}: {', '.join(each.id for each in chosen)}")
    return ExitCode.OK


def _all(results: Path | None) -> list[Run]:
    """Return every run of trials.

    Raises:
        HarnessError: there is none.
    """
    from harness.history.index import Filters  # noqa: PLC0415 - see open_index

    with open_index(results) as index:
        found = [read(Path(entry.path)) for entry in index.entries(Filters())]
    chosen = [each for each in found if each.trials]
    if not chosen:
        raise InputError("the history has no run of trials; make one with: python -m harness bench")
    return chosen


def _chosen(results: Path | None, names: Sequence[str]) -> list[Run]:
    """Return the runs that are named, each once.

    Raises:
        HarnessError: there is no such run, or it has no trials.
    """
    from harness.history.index import Filters  # noqa: PLC0415 - see open_index

    with open_index(results) as index:
        entries = index.entries(Filters())
        paths = dict.fromkeys(Path(choose(entries, name).path) for name in names)
    chosen = [read(path) for path in paths]
    for each in chosen:
        if not each.trials:
            raise InputError(f"run {each.id} has no trials to show; name a run of bench or ablate")
    return chosen
