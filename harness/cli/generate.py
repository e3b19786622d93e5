"""``python -m harness generate``: its arguments, and what it does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.generate.dataset import generate
from harness.generate.spec import COMPRESSIONS, FAULTS, STYLES, DatasetSpec
from harness.model.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``generate``."""
    add = parser.add_argument
    add("--rows", type=int, required=True, metavar="N", help="records over all tables")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the dataset's folder")
    add("--scenario", default="business", metavar="NAME", help="schema and shape of the data")
    add("--faults", choices=FAULTS, default="none", help="which damage the records carry")
    add("--seed", type=int, default=0, metavar="N", help="another seed, other values")
    add("--compress", choices=COMPRESSIONS, default="none", help="how the files are compressed")
    add("--style", choices=STYLES, default="lines", help="how the JSON is laid out")
    add("--processes", type=int, metavar="N", help="how many work (default: one per processor)")


def run(args: argparse.Namespace) -> int:
    """Generate the dataset, show how far it is, and print its path."""
    spec = DatasetSpec(
        rows=args.rows,
        scenario=args.scenario,
        seed=args.seed,
        faults=args.faults,
        style=args.style,
        compress=args.compress,
    )
    # Whoever imports the generator for other ends, as its workers do, needs no progress bar.
    from harness.cli.progress import shown_progress  # noqa: PLC0415

    with shown_progress(spec.rows) as progress:
        path = generate(spec, args.out, progress=progress, processes=args.processes)
    sys.stdout.write(f"{path}\n")
    return ExitCode.OK
