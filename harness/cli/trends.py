"""``python -m harness trends``: writes the trends of the history as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.sessions import session
from harness.analysis.trends import Accepted, trends
from harness.cli.history import require_folder
from harness.cli.output import say, write_page
from harness.gate.baseline import candidates
from harness.history import accepted
from harness.history.store import LOCAL, PUBLISHED, History, UnreadableFile
from harness.model.errors import ExitCode, HistoryError
from harness.report.html.trend_page import trend_page

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from harness.analysis.sessions import Session
    from harness.history.accepted import AcceptedChange


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``trends``."""
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="FILE", help="the page to write (HTML)")
    add(
        "--results",
        type=Path,
        action="append",
        metavar="DIR",
        help="folder of the runs; repeat it for several (default results/ and results/local/)",
    )


def run(given: argparse.Namespace) -> ExitCode:
    """Write the page; files that cannot be read are named on it.

    Raises:
        HarnessError: there is no such folder, or the page cannot be written.
    """
    for folder in given.results or ():
        require_folder(folder)
    folders = given.results or [PUBLISHED, LOCAL]
    unreadable: list[str] = []
    found = read_sessions(folders, unreadable)
    text = trend_page(trends(found, _accepted({*folders, PUBLISHED}, unreadable)), unreadable)
    write_page(given.out, text)
    say(f"{given.out}: {len(found)} sessions, {len(unreadable)} files that could not be read")
    return ExitCode.OK


def read_sessions(folders: Iterable[Path], unreadable: list[str]) -> list[Session]:
    """Read the sessions of several folders, one file at a time; each run once.

    Args:
        folders: the histories.
        unreadable: takes a line for each file that could not be read.
    """
    found: dict[str, Session] = {}
    for folder in folders:
        for recorded in History(folder).read_all():
            if isinstance(recorded, UnreadableFile):
                unreadable.append(f"{recorded.path.name}: {recorded.reason}")
            elif candidates([recorded]):
                found[recorded.id] = session(recorded)
    return list(found.values())


def _accepted(folders: Iterable[Path], unreadable: list[str]) -> list[Accepted]:
    """Read the accepted changes of all folders; a damaged file is named and has none."""
    changes: list[AcceptedChange] = []
    for folder in folders:
        try:
            changes += accepted.load(folder)
        except HistoryError as error:
            unreadable.append(str(error))
    changes.sort(key=lambda change: change.at)
    return [
        Accepted(change.run, None if change.engines is None else tuple(change.engines), change.why)
        for change in changes
    ]
