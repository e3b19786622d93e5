"""Meltano for a bulk load: COPY, and records that are neither validated nor given metadata.

These are settings of the target. Keys and indexes of the tables are dropped before the rows are
moved, and recreated afterwards.
"""

from __future__ import annotations

import sys

from harness.engines.peers.meltano.load import VALUES, load
from harness.engines.shared import staging
from harness.engines.shared.command import Files, main
from harness.engines.shared.constraints import drop

# Without the metadata, the target cannot activate versions.
_SETTINGS = {
    "use_copy": True,
    "validate_records": False,
    "add_record_metadata": False,
    "activate_version": False,
}


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Load all files into the staging schema, then move the rows, without keys and indexes."""
    with staging.dropped_afterwards(dsn):
        load(dsn, files, read, _SETTINGS)
        staging.move(dsn, files, VALUES, drop)


if __name__ == "__main__":
    sys.exit(main(restore, "meltano-tuned"))
