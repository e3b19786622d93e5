"""``python -m harness ablate``: measures the gain of each technique."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.figures import figures
from harness.bench.run import exit_code, run_bench
from harness.cli.bench import add_measurement, from_arguments, say_if_stopped
from harness.cli.output import add_format, say, show_report
from harness.engines.ablation import ladder
from harness.report.ablation import ablate_report
from harness.report.data import ablate_data

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ablate``: those of ``bench`` that do not choose engines."""
    add_measurement(parser)
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Run every step of the ablation, and show what each gains."""
    made = run_bench(from_arguments(options, ladder()), announce=say)
    show_report(figures(made), ablate_report, ablate_data, options.format)
    say_if_stopped(made)
    return exit_code(made)
