"""``python -m harness adopt``: makes a dataset of a backup of your own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.bench.options import ADOPTED, DEFAULT_SERVER
from harness.cli.output import say, write
from harness.model.errors import ExitCode
from harness.servers import CHOICES

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``adopt``."""
    add = parser.add_argument
    add("backup", type=Path, metavar="BACKUP", help="a folder of table files, or one file")
    schema = parser.add_mutually_exclusive_group(required=True)
    schema.add_argument(
        "--dsn", metavar="URL", help="a database whose schema is taken by pg_dump; only read"
    )
    schema.add_argument(
        "--schema", type=Path, metavar="FILE", help="the schema as SQL, without rows"
    )
    add("--name", metavar="N", help="the dataset's name (default that of the backup)")
    add("--server", default=DEFAULT_SERVER, help=f"{CHOICES} (default %(default)s), for the truth")


def run(given: argparse.Namespace) -> int:
    """Compute the ground truth, write the dataset, and print its folder."""
    # They import psycopg.
    from harness.adopt import schema  # noqa: PLC0415
    from harness.adopt.dataset import adopt, check_name  # noqa: PLC0415
    from harness.servers import open_server  # noqa: PLC0415

    name = given.name or given.backup.resolve().name.partition(".")[0]
    check_name(name)
    sql = None if given.schema is None else schema.from_file(given.schema)
    with open_server(given.server, announce=say) as server:
        if sql is None:
            sql = schema.from_database(given.dsn, server.pid)
        folder = adopt(given.backup, sql, server, ADOPTED / name, say)
    write(f"{folder}\n")
    say(f"measure it with: bench --dataset {name}")
    return ExitCode.OK
