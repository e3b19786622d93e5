"""``python -m harness peers``: the other ways to restore, and what each lacks here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli.output import add_format, say, show_report
from harness.engines.peers import catalog
from harness.engines.peers.environment import of
from harness.model.errors import ExitCode, InputError
from harness.report.peers import peers_data, peers_report

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``peers``."""
    add = parser.add_argument
    add("peer", nargs="*", metavar="PEER", help="some peers (default all)")
    add(
        "--install",
        action="store_true",
        help="make their environments first, in .peers of this folder or in $RESTOREBENCH_PEERS",
    )
    add_format(parser)


def run(given: argparse.Namespace) -> int:
    """Install peers if told to, and list them; 3 if one of them cannot be run here.

    Raises:
        HarnessError: a peer is unknown, or its environment cannot be made.
    """
    known = sorted(set(catalog.folders().values()))
    if unknown := set(given.peer) - set(known):
        raise InputError(f"no peer is called {min(unknown)!r}; there are {', '.join(known)}")
    chosen = given.peer or known
    if given.install:
        for peer in chosen:
            say(f"installing {peer}")
            of(catalog.FOLDER / peer).install()
    engines = tuple(
        catalog.engine(name) for name, peer in catalog.folders().items() if peer in chosen
    )
    show_report(engines, peers_report, peers_data, given.format)
    return ExitCode.REJECTS if any(engine.missing for engine in engines) else ExitCode.OK
