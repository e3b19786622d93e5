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

from harness.analysis.figures import figures
from harness.cli import history as reading
from harness.cli.program import program
from harness.model.errors import ExitCode, HarnessError
from harness.report.blocks import DEFAULT_WIDTH, to_markdown, to_terminal
from harness.report.run import bench_report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.analysis.figures import RunFigures
    from harness.engines.registry import Engine
    from harness.model.record import Run
    from harness.report.blocks import Block

    Command = Callable[[argparse.Namespace], int]

EPILOG = """\
exit codes:
  0  all well
  3  finished, but with rejects, or with trials that are not ok
  1  failed, or stopped before the end
  2  usage or input that makes no sense
  4  gate: something got slower, fatter or lossier

`{} COMMAND --help` tells more of each.
"""


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
        _say(f"{program()} {options.command}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        _say(f"{program()} {options.command}: stopped")
        return ExitCode.FAILED
    except BrokenPipeError:
        # Whoever read our output has had enough. Python flushes once more at exit: give it a sink.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Make the parser for a command line; what only some commands need is imported for those."""
    parser = argparse.ArgumentParser(
        prog=program(),
        description="Generate backups, restore them with each engine, measure, verify, compare.",
        epilog=EPILOG.format(program()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version, and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    generate_parser = add("generate", _generate, "Write a backup with its ground truth.")
    if "generate" in words:
        from harness.cli import generate  # noqa: PLC0415 - as below

        generate.add_arguments(generate_parser)
    bench_text = "Restore a backup with each engine, measure, verify, record, and show a table."
    bench_parser = add("bench", _bench, bench_text)
    ablate_text = "Measure what each technique gives, from the naive restorer to the full one."
    ablate_parser = add("ablate", _ablate, ablate_text)
    chaos_text = "Stop restores at any instant, by anything; prove that each can be continued."
    chaos_parser = add("chaos", _chaos, chaos_text)
    if {"bench", "ablate", "chaos"} & set(words):
        # With it come psycopg and all that restores, for which no other command should wait.
        from harness.cli import bench as bench_arguments  # noqa: PLC0415
        from harness.cli import chaos as chaos_arguments  # noqa: PLC0415

        chaos_arguments.add_arguments(chaos_parser)
        bench_arguments.add_engines(bench_parser)
        bench_arguments.add_arguments(bench_parser)
        bench_arguments.add_resume(bench_parser)
        bench_arguments.add_arguments(ablate_parser)
    selftest_text = "Check that the harness finds what is put in, and nothing else."
    selftest_parser = add("selftest", _selftest, selftest_text)
    if "selftest" in words:
        from harness.cli import selftest  # noqa: PLC0415 - as above

        selftest.add_arguments(selftest_parser)
    history_text = "List the runs that were recorded, or show one."
    reading.add_history(add("history", _history, history_text))
    reading.add_compare(add("compare", _compare, "Lay two runs side by side."))
    gate_parser = add("gate", _gate, "Fail where an engine got slower, fatter or lossier.")
    accept_parser = add("accept", _accept, "Write down that a change of figures is meant.")
    if {"gate", "accept"} & set(words):
        from harness.cli import gate  # noqa: PLC0415 - as above

        gate.add_gate(gate_parser)
        gate.add_accept(accept_parser)
    return parser


class _Version(argparse.Action):
    """Prints the version, which takes a while to find out."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from harness.trial.environment import version  # noqa: PLC0415 - as above

        print(f"restorebench {version()}")
        parser.exit()


def _generate(options: argparse.Namespace) -> int:
    from harness.cli import generate  # noqa: PLC0415 - see _parser

    return generate.run(options)


def _bench(options: argparse.Namespace) -> int:
    from harness.cli import bench as bench_arguments  # noqa: PLC0415 - see _parser

    if options.resume is not None:
        return _resume(options)
    chosen = bench_arguments.chosen_engines(options)
    return _measure(options, chosen, bench_report)


def _resume(options: argparse.Namespace) -> int:
    from harness.bench import again, resume  # noqa: PLC0415 - see _parser
    from harness.bench import options as bench_options  # noqa: PLC0415 - see _parser
    from harness.bench import run as bench  # noqa: PLC0415 - see _parser

    run = resume.cut_off(options.results, options.resume)
    dataset = None if options.dataset is None else bench_options.dataset_folder(options.dataset)
    given = again.options_of(run, server=options.server, dataset=dataset, results=options.results)
    return _shown(bench.run_bench(given, announce=_say, resume=run), bench_report)


def _ablate(options: argparse.Namespace) -> int:
    from harness.engines.ablation import ladder  # noqa: PLC0415 - see _parser
    from harness.report.ablation import ablate_report  # noqa: PLC0415

    return _measure(options, ladder(), ablate_report)


def _measure(
    options: argparse.Namespace,
    engines: tuple[Engine, ...],
    report: Callable[[RunFigures], tuple[Block, ...]],
) -> int:
    """Make a run of these engines, and show what ``report`` says of it."""
    from harness.bench import run as bench  # noqa: PLC0415 - see _parser
    from harness.cli import bench as bench_arguments  # noqa: PLC0415 - see _parser

    made = bench_arguments.from_arguments(options, engines)
    return _shown(bench.run_bench(made, announce=_say), report)


def _shown(run: Run, report: Callable[[RunFigures], tuple[Block, ...]]) -> int:
    """Show what ``report`` says of a run, and return its exit code."""
    from harness.bench import run as bench  # noqa: PLC0415 - see _parser

    _show(report(figures(run)), "table")
    if run.finished_at is None:
        _say(f"stopped; what was measured is kept as run {run.id}; go on with bench --resume")
    return bench.exit_code(run)


def _chaos(options: argparse.Namespace) -> int:
    from harness.chaos import campaign  # noqa: PLC0415 - see _parser
    from harness.cli import chaos as chaos_arguments  # noqa: PLC0415 - see _parser

    run = campaign.run_campaign(chaos_arguments.from_arguments(options), announce=_say)
    _show(reading.told(run), "table")
    if run.finished_at is None:
        _say(f"stopped; what was found is kept as run {run.id}")
    return campaign.exit_code(run)


def _history(options: argparse.Namespace) -> int:
    return reading.history(options, lambda blocks: _show(blocks, options.format), _say, _print)


def _compare(options: argparse.Namespace) -> int:
    if _are_files(options.ids):
        from harness.cli import pytest_files as benchmarks  # noqa: PLC0415 - see _parser

        return benchmarks.compare(options, lambda blocks: _show(blocks, options.format), _print)
    return reading.compare_runs(options, lambda blocks: _show(blocks, options.format), _say, _print)


def _gate(options: argparse.Namespace) -> int:
    if _are_files([options.run_id, options.baseline]):
        from harness.cli import pytest_files as benchmarks  # noqa: PLC0415 - see _parser

        return benchmarks.gate(options, lambda blocks: _show(blocks, options.format))
    from harness.cli import gate  # noqa: PLC0415 - see _parser

    return gate.gate(options, lambda blocks: _show(blocks, options.format), _say)


def _are_files(names: Sequence[str | None]) -> bool:
    """Say whether files of pytest-benchmark are named in place of runs."""
    if not any(name and Path(name).is_file() for name in names):
        return False
    from harness.cli import pytest_files as benchmarks  # noqa: PLC0415 - see _parser

    return benchmarks.are_files(names)


def _accept(options: argparse.Namespace) -> int:
    from harness.cli import gate  # noqa: PLC0415 - see _parser

    return gate.accept(options, _say)


def _selftest(options: argparse.Namespace) -> int:
    from harness.cli import selftest  # noqa: PLC0415 - see _parser

    return selftest.run(options, lambda blocks: _show(blocks, "table"), _say)


def _show(blocks: tuple[Block, ...], form: str) -> None:
    if form == "markdown":
        print(to_markdown(blocks), end="")
        return
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else DEFAULT_WIDTH
    print(to_terminal(blocks, width=width, color=terminal and "NO_COLOR" not in os.environ), end="")


def _print(text: str) -> None:
    print(text, end="")


def _tolerate_narrow_encodings() -> None:
    """Where the output knows no rule line, write a question mark rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
