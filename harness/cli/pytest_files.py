"""``compare`` and ``gate`` for files of pytest-benchmark, named in place of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.output import show, write
from harness.gate.limits import load
from harness.gate.pytest_files import judge as judging
from harness.gate.pytest_files import report
from harness.gate.pytest_files.file import is_run, read
from harness.gate.report import judgement_data
from harness.model.errors import ExitCode, InputError
from harness.report import rows as export
from harness.report.data import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.gate.pytest_files.file import BenchmarkFile

_COMPARED = 2


def are_files(names: Sequence[str | None]) -> bool:
    """Return whether one of the names is an existing file that is no recorded run."""
    return any(name and Path(name).is_file() and not is_run(Path(name)) for name in names)


def compare_files(names: Sequence[str], form: str) -> ExitCode:
    """Compare two files.

    Raises:
        InputError: there are not two, one is invalid, or their hosts differ.
    """
    if len(names) != _COMPARED:
        raise InputError(
            f"compare needs two files of pytest-benchmark, not {len(names)}; name both"
        )
    before, after = _read_both(*names)
    found = judging.pairs(before, after)
    if form in export.WRITERS:
        write(export.WRITERS[form](report.rows(found)))
    else:
        heads = _heads(names, (before, after))
        show((*heads, *report.compare_report(found, before, after)), form)
    return ExitCode.OK


def gate_files(name: str, baseline: str | None, form: str) -> ExitCode:
    """Judge a file by another; exit code 4 if a benchmark regressed, is missing or failed.

    Raises:
        InputError: no baseline is named, a file is invalid, or the hosts differ.
    """
    if baseline is None:
        raise InputError(f"gate {name} needs a baseline; name a file with --baseline FILE")
    before, after = _read_both(baseline, name)
    found = judging.pairs(before, after)
    judgement = judging.judge(found, load())
    if form == "json":
        data = {"kind": "gate", "schema": SCHEMA_VERSION, "files": [baseline, name]}
        write(export.to_json({**data, **judgement_data(judgement)}))
    else:
        heads = _heads((baseline, name), (before, after))
        show((*heads, *report.gate_report(judgement, found)), form)
    return ExitCode.WORSE if judgement.findings else ExitCode.OK


def _read_both(before: str, after: str) -> tuple[BenchmarkFile, BenchmarkFile]:
    """Read two files whose times can be compared."""
    for name in (before, after):
        if not Path(name).is_file():
            raise InputError(
                f"{name} is not a file; write a run as one with: python -m harness history {name} "
                "--format pytest-benchmark"
            )
    old, new = read(Path(before)), read(Path(after))
    if not old.benchmarks:
        raise InputError(f"{before} holds no benchmark to compare with; name another file")
    judging.check_hosts(old, new, (before, after))
    return old, new


def _heads(names: Sequence[str], files: Sequence[BenchmarkFile]) -> tuple[str, ...]:
    return tuple(
        f"{when}: {report.headline(Path(name), file)}"
        for when, name, file in zip(("Before", "After"), names, files, strict=True)
    )
