"""PostgreSQL's own JSON functions, with keys and indexes dropped first and recreated at the end.

All of it is one transaction, and PostgreSQL's advice for populating a database: no indexes or
foreign keys during the load, and the tables truncated in its transaction, so that the server need
not log their rows.
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness.engines.peers.jsonb.load import BEGIN, load, run
from harness.engines.shared.command import Files, main
from harness.engines.shared.database import connect, set_sequences
from harness.engines.shared.shell import literal, quoted

_DROP = (Path(__file__).parent / "drop.sql").read_text(encoding="utf-8")
_RECREATE = "SELECT statement FROM recreated ORDER BY position \\gexec"


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Drop keys and indexes, load all tables, and recreate them."""
    tables = list(files)
    with connect(dsn) as connection:
        loads = list(load(connection, tables, files))
    truncate = f"TRUNCATE {', '.join(map(quoted, tables))};"
    names = ", ".join(literal(quoted(table)) for table in tables)
    script = [BEGIN, _DROP.replace(":tables", names), truncate, *loads, _RECREATE, "COMMIT;"]
    read |= run(dsn, tables, script)
    with connect(dsn) as connection:
        set_sequences(connection, tables)


if __name__ == "__main__":
    sys.exit(main(restore, "jsonb-tuned"))
