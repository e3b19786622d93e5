"""pandas with to_sql(method="multi"): a statement of many rows, a thousand in each.

SQLAlchemy compiles each such statement anew, with a parameter for each value.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from harness.engines.peers.pandas.load import load, types_of
from harness.engines.shared.command import Files, main

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import sqlalchemy

ROWS = 1_000


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Insert all tables, parents first, in one transaction."""
    load(dsn, files, read, insert)


def insert(
    frame: pd.DataFrame, table: str, columns: Mapping[str, str], target: sqlalchemy.Connection
) -> None:
    """Insert a frame, a statement for each thousand rows."""
    options = {"if_exists": "append", "index": False, "method": "multi", "chunksize": ROWS}
    frame.to_sql(table, target, dtype=types_of(columns), **options)


if __name__ == "__main__":
    sys.exit(main(restore, "pandas-multi"))
