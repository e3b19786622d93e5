"""``python -m harness gate``: fails if an engine regressed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.commits import COMMITS
from harness.cli.compare_commits import add_measured, compare
from harness.cli.history import open_index
from harness.cli.output import add_format, show, write
from harness.cli.pytest_files import are_files, gate_files
from harness.gate import baseline
from harness.gate.limits import ROLLING, load
from harness.gate.report import gate_data, gate_report
from harness.gate.verdict import judge
from harness.history import accepted
from harness.history.store import LATEST, PUBLISHED, choose, file_name, read
from harness.model.errors import ExitCode, InputError
from harness.report.rows import to_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from harness.history.accepted import AcceptedChange
    from harness.history.index import Entry, Index
    from harness.model.record import Run


# So many runs of the same size are read, of which the last with the same work count.
_MAX_RUNS = 200

WORKTREE = "."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gate``."""
    add = parser.add_argument
    add_run(parser, "the run to judge (default the latest), or a file of pytest-benchmark")
    add(
        "--base",
        metavar="COMMIT",
        help="judge the working tree in place of a run: measure it beside this commit, as "
        "compare-commits does, whose other arguments then apply",
    )
    add(
        "--baseline",
        metavar="NAME|COMMIT|rolling",
        help="what it is judged against: rolling, the last runs of the same work (default, unless "
        "[tool.harness.gate] says otherwise); a name given with accept --as; a commit or the id "
        "of a run; for a file of pytest-benchmark, another such file",
    )
    add_measured(parser)
    add_format(parser)


def run(given: argparse.Namespace) -> ExitCode:
    """Judge a run, the working tree, or a file of pytest-benchmark; 4 if something regressed.

    Raises:
        HarnessError: there is no such run, commit or baseline, or the settings are invalid.
    """
    if given.base is not None:
        if given.run_id != LATEST or given.baseline is not None:
            raise InputError("--base judges the working tree; name no run and no --baseline")
        return compare(given, given.base, WORKTREE)
    if are_files([given.run_id, given.baseline]):
        return gate_files(given.run_id, given.baseline, given.format)
    settings = load()
    named = given.baseline or settings.baseline
    changes = accepted.load(accepted_folder(given.results))
    head, runs = _head_and_history(given, named, changes)
    against = baseline.choose_baseline(runs, head, changes, named, settings.runs)
    judgement = judge(head, against, settings)
    if given.format == "json":
        write(to_json(gate_data(head, against, judgement)))
    else:
        show(gate_report(head, against, judgement), given.format)
    return ExitCode.WORSE if judgement.findings else ExitCode.OK


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
        head = choose_run(index, given.run_id)
        comparable = index.entries(Filters(rows=head.dataset.rows, scenario=head.dataset.scenario))
        known = {named, *(change.run for change in changes)}
        chosen = [
            *[e for e in comparable if e.started_at <= head.started_at][-_MAX_RUNS:],
            *(entry for entry in entries if entry.id.startswith(tuple(known))),
            *([] if named == ROLLING else index.entries(Filters(commit=named))),
        ]
    paths = dict.fromkeys(entry.path for entry in sorted(chosen, key=lambda e: e.started_at))
    return head, [read(Path(path)) for path in paths]


def choose_run(index: Index, name: str) -> Run:
    """Return the run that is named, or the latest of ``bench``.

    Raises:
        InputError: there is none, or it cannot be judged.
    """
    entries = index.entries(measured=name == LATEST)
    recorded = _latest(entries) if name == LATEST else read(Path(choose(entries, name).path))
    if name == LATEST:
        _check_none_newer(index, recorded)
    if baseline.candidates([recorded]):
        return recorded
    if recorded.finished_at is None and recorded.chaos is None:
        raise InputError(
            f"run {recorded.id} is unfinished, so it cannot be judged; continue it with "
            f"bench --resume {recorded.id}, name another run, or delete {file_name(recorded)}"
        )
    raise InputError(f"run {recorded.id} is of chaos, or compares commits; name another")


def _latest(entries: Sequence[Entry]) -> Run:
    """Return the newest run that does not compare commits."""
    for entry in reversed(entries):
        recorded = read(Path(entry.path))
        if COMMITS not in recorded.parameters:
            return recorded
    return read(Path(choose(entries, LATEST).path))


def _check_none_newer(index: Index, recorded: Run) -> None:
    """Raise if a file that cannot be read may hold a newer run, by its name."""
    for path, reason in index.skipped():
        if Path(path).name >= file_name(recorded):
            raise InputError(
                f"the newest run, {path}, cannot be judged: {reason}; name the run to judge, or "
                "delete that file"
            )


def accepted_folder(results: Path | None) -> Path:
    """Return the folder of accepted changes: by default that of the published runs."""
    return PUBLISHED if results is None else results
