"""The commands ``gate`` and ``accept``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.history import add_format, add_results, open_index
from harness.gate import baseline, drift
from harness.gate.confirm import bench_again, confirm, settle
from harness.gate.limits import ROLLING, Settings, load
from harness.gate.report import gate_report
from harness.gate.verdict import Finding, Judged, judge
from harness.history import accepted
from harness.history.store import LATEST, PUBLISHED, choose, read
from harness.model.errors import ExitCode, HarnessError, InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from harness.gate.baseline import Baseline
    from harness.history.accepted import Accepted
    from harness.history.index import Entry
    from harness.model.record import Run
    from harness.report.blocks import Block

    Show = Callable[[tuple[Block, ...]], None]
    Announce = Callable[[str], None]


def add_gate(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gate``."""
    add = parser.add_argument
    _add_run(parser, "the run to judge (default the latest), or a file of pytest-benchmark")
    add(
        "--baseline",
        metavar="NAME|COMMIT|rolling",
        help="what it is judged against: rolling, the last runs of the same work (default, or what "
        "[tool.harness.gate] says); a name given with accept --as; a commit or the id of a run; of "
        "a file of pytest-benchmark, another such file",
    )
    add(
        "--no-confirm",
        action="store_true",
        help="let an alarm stand without measuring once more what it accuses, and a doubt",
    )
    add_results(parser)
    add_format(parser, ("table", "markdown"))
    add("--server", help="where to measure it once more (default as the run)")
    add(
        "--dataset",
        type=Path,
        metavar="DIR",
        help="what to measure it with once more, if the run had a dataset of its own",
    )


def add_accept(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``accept``."""
    add = parser.add_argument
    _add_run(parser, "the run whose figures are meant (default the latest)")
    add("--why", required=True, metavar="TEXT", help="the reason, for those who read it later")
    add(
        "--engine",
        action="append",
        metavar="NAME",
        help="the engine that may have changed; repeat it for several (default all)",
    )
    add_results(parser)
    add("--as", dest="name", metavar="NAME", help="a name for the run, as a baseline")


def gate(given: argparse.Namespace, show: Show, announce: Announce) -> ExitCode:
    """Judge a run; 4 where something got worse.

    Raises:
        HarnessError: there is no such run or baseline, or the settings make no sense.
    """
    settings = load()
    named = given.baseline or settings.baseline
    changes = accepted.load(_folder(given.results))
    of, runs = _judged_and_judges(given, named, changes, announce)
    against = baseline.choose(runs, of, changes, named, settings.runs)
    found = _judged(of, against, settings)
    stands, doubts, doubt = found.findings, found.doubts, None
    if not given.no_confirm:
        try:
            again = bench_again(given.server, given.dataset, given.results, announce)
            stands = confirm(of, found.findings, against, settings, again)
            settled = settle(of, doubts, against, settings, again)
            stands, doubts = (*stands, *settled.findings), settled.doubts
        except HarnessError as error:
            doubt = str(error)
    dropped = tuple(one for one in found.findings if one not in stands)
    judged = Judged(stands, found.held, found.untold, doubts)
    show(gate_report(of, against, judged, dropped, doubt))
    return ExitCode.WORSE if stands else ExitCode.OK


def accept(given: argparse.Namespace, announce: Announce) -> ExitCode:
    """Write down that a run's figures are meant.

    Raises:
        HarnessError: there is no such run, or it cannot be written.
    """
    if not given.why.strip():
        raise InputError("--why is empty; say why the change is meant")
    if given.name == ROLLING:
        raise InputError(f"--as {ROLLING}: that means the last runs; take another name")
    with open_index(given.results, announce) as index:
        of = _candidate(index.entries(), given.run_id)
    measured = {trial.engine for trial in of.trials}
    for engine in given.engine or ():
        if engine not in measured:
            raise InputError(f"--engine {engine}: run {of.id} has only {', '.join(measured)}")
    change = accepted.Accepted(
        run=of.id,
        started_at=of.started_at,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        why=given.why.strip(),
        engines=given.engine,
        name=given.name,
        commit=of.environment.commit,
    )
    path = accepted.add(_folder(given.results), change)
    announce(f"Accepted run {of.id} in {path}; commit that file where the gate runs elsewhere too")
    return ExitCode.OK


def _judged(of: Run, against: Baseline, settings: Settings) -> Judged:
    """Judge a run by its baseline and by the whole history, each thing accused once."""
    found = judge(of, against, settings)
    accused = {one.key for one in found.findings}
    risen = tuple(one for one in drift.drift(of, against, settings) if one.key not in accused)
    findings: tuple[Finding, ...] = (*found.findings, *risen)
    return Judged(findings, found.held, found.untold, found.doubts)


def _add_run(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("run_id", nargs="?", default=LATEST, metavar="RUN", help=text)


def _judged_and_judges(
    given: argparse.Namespace, named: str, changes: Sequence[Accepted], announce: Announce
) -> tuple[Run, list[Run]]:
    """Return the run to judge, and those that can judge it; of long histories, not all are read."""
    from harness.history.index import Filters  # noqa: PLC0415 - SQLAlchemy, as in reading

    with open_index(given.results, announce) as index:
        entries = index.entries()
        of = _candidate(entries, given.run_id)
        alike = index.entries(Filters(rows=of.dataset.rows, scenario=of.dataset.scenario))
        known = {named, *(change.run for change in changes)}
        chosen = [
            *[entry for entry in alike if entry.started_at <= of.started_at][-drift.MOST_RUNS :],
            *(entry for entry in entries if entry.id.startswith(tuple(known))),
            *([] if named == ROLLING else index.entries(Filters(commit=named))),
        ]
    paths = dict.fromkeys(entry.path for entry in sorted(chosen, key=lambda e: e.started_at))
    return of, [read(Path(path)) for path in paths]


def _candidate(entries: Sequence[Entry], name: str) -> Run:
    """Return the run that is named, or the latest that can be judged.

    Raises:
        InputError: there is none, or it was cut off.
    """
    if name == LATEST:
        for entry in reversed(entries):
            run = read(Path(entry.path))
            if baseline.candidates([run]):
                return run
    run = read(Path(choose(entries, name).path))
    if not baseline.candidates([run]):
        raise InputError(f"run {run.id} was cut off, or made to confirm an alarm; name another")
    return run


def _folder(results: Path | None) -> Path:
    """Return where changes that are meant are kept: by default beside the published runs."""
    return PUBLISHED if results is None else results
