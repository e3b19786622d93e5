"""Constraints dropped and recreated: keys and indexes are built once, from all rows.

With its indexes in place, each row of a load is put into every one of them, at a place of its own:
that is much of what the server does. To sort all keys once and write the index from end to end is
faster, the more so the larger the table. Foreign keys likewise: one query over the whole table, in
place of a lookup for each row. All of it is in the transaction of the load, so a failure leaves the
tables as they were. The load is that of ``copy_binary``.
"""

from __future__ import annotations

import sys

from harness.engines.shared.command import Files, main
from harness.engines.shared.constraints import drop
from harness.engines.shared.database import connect, parents_first, set_sequences
from harness.engines.steps.copy_binary import copy_all


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Drop keys and indexes, copy all tables, and recreate them, in one transaction."""
    with connect(dsn) as connection:
        tables = parents_first(connection, files)
        recreate = drop(connection, tables)
        copy_all(connection, tables, files, read)
        for statement in recreate:
            connection.execute(statement)
        set_sequences(connection, tables)


if __name__ == "__main__":
    sys.exit(main(restore, "step-constraints"))
