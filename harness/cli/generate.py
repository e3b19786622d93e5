"""``python -m harness generate``: writes a dataset; its arguments, and its progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.output import write
from harness.cli.progress import shown_progress
from harness.cli.values import row_count
from harness.generate.dataset import generate
from harness.generate.spec import COMPRESSIONS, FAULTS, STYLES, DatasetSpec
from harness.model.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``generate``."""
    add = parser.add_argument
    add("--rows", type=row_count, required=True, metavar="N", help="records over all tables")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the dataset's folder")
    add("--scenario", default="business", metavar="NAME", help="schema and shape of the data")
    add("--faults", choices=FAULTS, default="none", help="damage of the records")
    add("--seed", type=int, default=0, metavar="N", help="seed of the values")
    add("--compress", choices=COMPRESSIONS, default="none", help="compression of the files")
    add("--style", choices=STYLES, default="lines", help="layout of the JSON")
    add("--processes", type=int, metavar="N", help="worker processes (default: one per processor)")


def run(args: argparse.Namespace) -> int:
    """Generate the dataset under a progress bar, and print its path."""
    spec = DatasetSpec(
        rows=args.rows,
        scenario=args.scenario,
        seed=args.seed,
        faults=args.faults,
        style=args.style,
        compress=args.compress,
    )
    with shown_progress(spec.rows) as progress:
        path = generate(spec, args.out, progress=progress, processes=args.processes)
    write(f"{path}\n")
    return ExitCode.OK
