"""``python -m harness gate``: fails if an engine regressed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.history import add_format, add_results, open_index
from harness.cli.output import say, show
from harness.cli.pytest_files import are_files, gate_files
from harness.gate import baseline, drift
from harness.gate.confirm import confirm, make_remeasure, settle
from harness.gate.limits import ROLLING, GateSettings, load
from harness.gate.report import gate_report
from harness.gate.verdict import Finding, Judgement, judge
from harness.history import accepted
from harness.history.store import LATEST, PUBLISHED, choose, read
from harness.model.errors import ExitCode, HarnessError, InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from harness.gate.baseline import Baseline
    from harness.history.accepted import AcceptedChange
    from harness.history.index import Entry
    from harness.model.record import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gate``."""
    add = parser.add_argument
    add_run(parser, "the run to judge (default the latest), or a file of pytest-benchmark")
    add(
        "--baseline",
        metavar="NAME|COMMIT|rolling",
        help="what it is judged against: rolling, the last runs of the same work (default, unless "
        "[tool.harness.gate] says otherwise); a name given with accept --as; a commit or the id "
        "of a run; for a file of pytest-benchmark, another such file",
    )
    add(
        "--no-confirm",
        action="store_true",
        help="do not measure regressions and inconclusive measures once more",
    )
    add_results(parser)
    add_format(parser, ("table", "markdown"))
    add("--server", help="where to measure once more (default as the run)")
    add(
        "--dataset",
        type=Path,
        metavar="DIR",
        help="the dataset to measure once more with, if the run used one of your own",
    )


def run(given: argparse.Namespace) -> ExitCode:
    """Judge a run, or a file of pytest-benchmark; exit code 4 if something regressed.

    Raises:
        HarnessError: there is no such run or baseline, or the settings are invalid.
    """
    if are_files([given.run_id, given.baseline]):
        return gate_files(given.run_id, given.baseline, given.format)
    settings = load()
    named = given.baseline or settings.baseline
    changes = accepted.load(accepted_folder(given.results))
    head, runs = _head_and_history(given, named, changes)
    against = baseline.choose_baseline(runs, head, changes, named, settings.runs)
    found = _judge(head, against, settings)
    confirmed, inconclusive, not_confirmed_because = found.findings, found.inconclusive, None
    if not given.no_confirm:
        try:
            remeasure = make_remeasure(given.server, given.dataset, given.results, say)
            confirmed = confirm(head, found.findings, against, settings, remeasure)
            settled = settle(head, inconclusive, against, settings, remeasure)
            confirmed, inconclusive = (*confirmed, *settled.findings), settled.inconclusive
        except HarnessError as error:
            not_confirmed_because = str(error)
    dropped = tuple(one for one in found.findings if one not in confirmed)
    judgement = Judgement(confirmed, found.checked, found.not_judged, inconclusive)
    show(gate_report(head, against, judgement, dropped, not_confirmed_because), given.format)
    return ExitCode.WORSE if confirmed else ExitCode.OK


def _judge(head: Run, against: Baseline, settings: GateSettings) -> Judgement:
    """Judge a run by its baseline and by the whole history, each measure reported once."""
    found = judge(head, against, settings)
    reported = {one.key for one in found.findings}
    drifted = tuple(one for one in drift.drift(head, against, settings) if one.key not in reported)
    findings: tuple[Finding, ...] = (*found.findings, *drifted)
    return Judgement(findings, found.checked, found.not_judged, found.inconclusive)


def add_run(parser: argparse.ArgumentParser, text: str) -> None:
    """Add the argument that names the run."""
    parser.add_argument("run_id", nargs="?", default=LATEST, metavar="RUN", help=text)


def _head_and_history(
    given: argparse.Namespace, named: str, changes: Sequence[AcceptedChange]
) -> tuple[Run, list[Run]]:
    """Return the run to judge and the runs that can judge it, without reading a long history."""
    from harness.history.index import Filters  # noqa: PLC0415 - see open_index

    with open_index(given.results) as index:
        entries = index.entries()
        head = choose_run(entries, given.run_id)
        comparable = index.entries(Filters(rows=head.dataset.rows, scenario=head.dataset.scenario))
        known = {named, *(change.run for change in changes)}
        chosen = [
            *[e for e in comparable if e.started_at <= head.started_at][-drift.MAX_RUNS :],
            *(entry for entry in entries if entry.id.startswith(tuple(known))),
            *([] if named == ROLLING else index.entries(Filters(commit=named))),
        ]
    paths = dict.fromkeys(entry.path for entry in sorted(chosen, key=lambda e: e.started_at))
    return head, [read(Path(path)) for path in paths]


def choose_run(entries: Sequence[Entry], name: str) -> Run:
    """Return the run that is named, or the latest that can be judged.

    Raises:
        InputError: there is none, or it is unfinished.
    """
    if name == LATEST:
        for entry in reversed(entries):
            recorded = read(Path(entry.path))
            if baseline.candidates([recorded]):
                return recorded
    recorded = read(Path(choose(entries, name).path))
    if not baseline.candidates([recorded]):
        raise InputError(
            f"run {recorded.id} is unfinished, or was made to confirm an alarm; name another"
        )
    return recorded


def accepted_folder(results: Path | None) -> Path:
    """Return the folder of accepted changes: by default that of the published runs."""
    return PUBLISHED if results is None else results
