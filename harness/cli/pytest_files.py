"""``compare`` and ``gate`` where files of pytest-benchmark are named in place of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.gate.limits import load
from harness.gate.pytest_files import judge as judging
from harness.gate.pytest_files import report
from harness.gate.pytest_files.file import is_run, read
from harness.model.errors import ExitCode, InputError
from harness.report import rows as export

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from harness.gate.pytest_files.file import BenchmarkFile
    from harness.report.blocks import Block

    Show = Callable[[tuple[Block, ...]], None]
    Write = Callable[[str], None]

_COMPARED = 2


def are_files(names: Sequence[str | None]) -> bool:
    """Say whether one of the names is that of a file which is no recorded run."""
    return any(name and Path(name).is_file() and not is_run(Path(name)) for name in names)


def compare(given: argparse.Namespace, show: Show, write: Write) -> ExitCode:
    """Lay two files side by side.

    Raises:
        InputError: they are not two, one is none, or they are of different hosts.
    """
    if len(given.ids) != _COMPARED:
        raise InputError(f"{len(given.ids)} named; name two files of pytest-benchmark")
    before, after = _two(*given.ids)
    found = judging.pairs(before, after)
    if given.format in export.WRITERS:
        write(export.WRITERS[given.format](report.rows(found)))
    else:
        heads = _heads(given.ids, (before, after))
        show((*heads, *report.compare_report(found, before, after)))
    return ExitCode.OK


def gate(given: argparse.Namespace, show: Show) -> ExitCode:
    """Judge a file by another; 4 where something got slower, fatter or lossier, vanished or failed.

    Raises:
        InputError: no baseline is named, one of the two is none, or they are of different hosts.
    """
    if given.baseline is None:
        raise InputError(f"name the file that {given.run_id} is judged by, with --baseline FILE")
    before, after = _two(given.baseline, given.run_id)
    found = judging.pairs(before, after)
    judged = judging.judge(found, load())
    heads = _heads((given.baseline, given.run_id), (before, after))
    show((*heads, *report.gate_report(judged, found)))
    return ExitCode.WORSE if judged.findings else ExitCode.OK


def _two(before: str, after: str) -> tuple[BenchmarkFile, BenchmarkFile]:
    """Read two files whose times can be compared."""
    for name in (before, after):
        if not Path(name).is_file():
            raise InputError(
                f"{name} is no file; a run becomes one with: python -m harness history {name} "
                "--format pytest-benchmark"
            )
    old, new = read(Path(before)), read(Path(after))
    if not old.benchmarks:
        raise InputError(f"{before} holds no benchmark, so that nothing can be compared with it")
    judging.check_hosts(old, new, (before, after))
    return old, new


def _heads(names: Sequence[str], files: Sequence[BenchmarkFile]) -> tuple[str, ...]:
    return tuple(
        f"{when}: {report.headline(Path(name), of)}"
        for when, name, of in zip(("Before", "After"), names, files, strict=True)
    )
