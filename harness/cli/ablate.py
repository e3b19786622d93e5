"""``python -m harness ablate``: measures the gain of each technique."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cli.bench import add_measurement, measure
from harness.engines.ablation import ladder
from harness.report.ablation import ablate_report

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ablate``: those of ``bench`` that do not choose engines."""
    add_measurement(parser)


def run(options: argparse.Namespace) -> int:
    """Run every step of the ablation, and show what each gains."""
    return measure(options, ladder(), ablate_report)
