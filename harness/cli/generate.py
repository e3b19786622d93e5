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
    add("--out", required=True, metavar="DIR", help="folder for the dataset's folder, or its URL")
    add("--scenario", default="business", metavar="NAME", help="schema and shape of the data")
    add("--faults", choices=FAULTS, default="none", help="damage of the records")
    add("--seed", type=int, default=0, metavar="N", help="seed of the values")
    add("--compress", choices=COMPRESSIONS, default="none", help="compression of the files")
    add("--style", choices=STYLES, default="lines", help="layout of the JSON")
    makers = parser.add_mutually_exclusive_group()
    add = makers.add_argument
    add("--processes", type=int, metavar="N", help="worker processes (default: one per processor)")
    help_ = "let the workers of a Dask cluster make the records: dask://HOST:PORT, tls://HOST:PORT"
    add("--executor", metavar="URL", help=help_)


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
        made_by = {"processes": args.processes, "executor": args.executor}
        if "://" in args.out:
            from harness.generate.remote import generate_remote  # noqa: PLC0415 - few need it

            path: Path | str = generate_remote(spec, args.out, progress=progress, **made_by)
        else:
            path = generate(spec, Path(args.out), progress=progress, **made_by)
    write(f"{path}\n")
    return ExitCode.OK
