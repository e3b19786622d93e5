"""``python -m harness``: arguments, exit codes, and all that is printed.

Results go to standard output; progress, warnings and errors to standard error.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness import gate, generate, selftest
from harness.compare import compare
from harness.environment import version
from harness.errors import ExitCode, HarnessError, InputError
from harness.figures import figures
from harness.history import choose, open_history
from harness.record_file import json_schema
from harness.report import bench_report, history_report
from harness.report_compare import compare_report
from harness.tables import DEFAULT_WIDTH, to_markdown, to_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.engines import Engine
    from harness.figures import RunFigures
    from harness.record import Run
    from harness.tables import Block

    Command = Callable[[argparse.Namespace], int]

EPILOG = """\
exit codes:
  0  all well
  3  finished, but with rejects, or with trials that are not ok
  1  failed, or stopped before the end
  2  usage or input that makes no sense
  4  gate: something got slower, fatter or lossier

`python -m harness COMMAND --help` tells more of each.
"""

_LIMIT = 20
_RUNS_COMPARED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; the only place where errors become text."""
    _tolerate_narrow_encodings()
    words = sys.argv[1:] if arguments is None else arguments
    options = _parser(words).parse_args(words)
    command: Command = options.run
    try:
        code = command(options)
        sys.stdout.flush()
    except HarnessError as error:
        _say(f"python -m harness {options.command}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        _say(f"python -m harness {options.command}: stopped")
        return ExitCode.FAILED
    except BrokenPipeError:
        # Whoever read our output has had enough. Python flushes once more at exit: give it a sink.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Make the parser for a command line; what only ``bench`` needs is imported for it alone."""
    parser = argparse.ArgumentParser(
        prog="python -m harness",
        description="Generate backups, restore them with each engine, measure, verify, compare.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"restorebench {version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    generate.add_arguments(add("generate", generate.run, "Write a backup with its ground truth."))
    bench_text = "Restore a backup with each engine, measure, verify, record, and show a table."
    bench_parser = add("bench", _bench, bench_text)
    ablate_text = "Measure what each technique gives, from the naive restorer to the full one."
    ablate_parser = add("ablate", _ablate, ablate_text)
    if {"bench", "ablate"} & set(words):
        # With it come psycopg and all that restores, for which no other command should wait.
        from harness import bench_arguments  # noqa: PLC0415

        bench_arguments.add_engines(bench_parser)
        bench_arguments.add_arguments(bench_parser)
        bench_arguments.add_arguments(ablate_parser)
    selftest_text = "Check that the harness finds what is put in, and nothing else."
    selftest.add_arguments(add("selftest", _selftest, selftest_text))
    _add_history(add("history", _history, "List the runs that were recorded, or show one."))
    _add_compare(add("compare", _compare, "Lay two runs side by side."))
    _add_gate(add("gate", _gate, "Fail where an engine got slower, fatter or lossier."))
    _add_accept(add("accept", _accept, "Write down that a change of figures is meant."))
    return parser


def _add_gate(parser: argparse.ArgumentParser) -> None:
    gate.add_gate(parser)
    _add_reading(parser)


def _add_accept(parser: argparse.ArgumentParser) -> None:
    gate.add_accept(parser)
    _add_results(parser)


def _add_history(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id", nargs="?", metavar="RUN", help="show this run: the start of its id or file, or latest"
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=_LIMIT,
        metavar="N",
        help="list the newest N (default %(default)s)",
    )
    parser.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of a recorded run instead"
    )
    _add_reading(parser)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "ids",
        nargs="*",
        metavar="RUN",
        help="before and after: the starts of their ids or files, or latest (default the newest "
        "two); one alone is compared with the latest",
    )
    _add_reading(parser)


def _add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="folder of the runs (default results/ and results/local/)",
    )


def _add_reading(parser: argparse.ArgumentParser) -> None:
    _add_results(parser)
    parser.add_argument(
        "--format",
        choices=("table", "markdown"),
        default="table",
        help="how to write it (default %(default)s)",
    )


def _bench(options: argparse.Namespace) -> int:
    from harness import bench_options  # noqa: PLC0415 - see _parser

    chosen = bench_options.chosen_engines(options)
    return _measure(options, chosen, bench_report)


def _ablate(options: argparse.Namespace) -> int:
    from harness import ablate  # noqa: PLC0415 - see _parser

    return _measure(options, ablate.ladder(), ablate.ablate_report)


def _measure(
    options: argparse.Namespace,
    engines: tuple[Engine, ...],
    report: Callable[[RunFigures], tuple[Block, ...]],
) -> int:
    """Make a run of these engines, and show what ``report`` says of it."""
    from harness import bench, bench_options  # noqa: PLC0415 - see _parser

    run = bench.run_bench(bench_options.from_arguments(options, engines), announce=_say)
    _show(report(figures(run)), "table")
    if run.finished_at is None:
        _say(f"stopped; what was measured is kept as run {run.id}")
    return bench.exit_code(run)


def _gate(options: argparse.Namespace) -> int:
    return gate.gate(options, lambda blocks: _show(blocks, options.format), _say)


def _accept(options: argparse.Namespace) -> int:
    return gate.accept(options, _say)


def _selftest(options: argparse.Namespace) -> int:
    return selftest.run(options, lambda blocks: _show(blocks, "table"), _say)


def _history(options: argparse.Namespace) -> int:
    if options.schema:
        print(json_schema().decode(), end="")
        return ExitCode.OK
    if options.limit < 1:
        raise InputError(f"--limit {options.limit} makes no sense; write 1 or more")
    runs = _runs(options.results)
    if options.id is not None:
        _show(bench_report(figures(choose(runs, options.id))), options.format)
    elif runs:
        # Without a reference, no ratios are worked out; a list shows none.
        newest = tuple(figures(run, reference=None) for run in runs[-options.limit :])
        _show(history_report(newest, older=len(runs) - len(newest)), options.format)
    else:
        _say("no run is recorded yet; make one with: python -m harness bench")
    return ExitCode.OK


def _compare(options: argparse.Namespace) -> int:
    before, after = _chosen(_runs(options.results), options.ids)
    _show(compare_report(compare(before, after)), options.format)
    return ExitCode.OK


def _chosen(runs: tuple[Run, ...], ids: list[str]) -> tuple[Run, Run]:
    """Return the two runs that were named, or the newest two."""
    if len(ids) > _RUNS_COMPARED:
        raise InputError(f"{len(ids)} runs were named; name two, one or none")
    if len(runs) < _RUNS_COMPARED:
        held = "one run" if runs else "no run"
        raise InputError(
            f"it takes two runs, and the history holds {held}; make another with bench"
        )
    before = choose(runs, ids[0]) if ids else runs[-2]
    after = choose(runs, ids[1]) if len(ids) == _RUNS_COMPARED else runs[-1]
    if before.id == after.id:
        raise InputError(f"both are run {before.id}; name two different ones")
    return before, after


def _runs(results: Path | None) -> tuple[Run, ...]:
    """Read the history, warning of what cannot be read."""
    if results is not None and not results.is_dir():
        raise InputError(f"--results {results}: there is no such folder")
    listing = open_history(results).runs()
    for unreadable in listing.unreadable:
        _say(f"warning: {unreadable}")
    return listing.runs


def _show(blocks: tuple[Block, ...], form: str) -> None:
    if form == "markdown":
        print(to_markdown(blocks), end="")
        return
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else DEFAULT_WIDTH
    print(to_terminal(blocks, width=width, color=terminal and "NO_COLOR" not in os.environ), end="")


def _tolerate_narrow_encodings() -> None:
    """Where the output knows no rule line, write a question mark rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
