"""Streaming parse: records are parsed as the file is read, in place of the file as a whole.

``json.load`` holds the text of a file and all of its records at once, several times the file's
size. ``ijson`` reads the file piece by piece and hands over one record after the other, so that no
more than a batch is in memory, however large the file. It costs time: an event for each value, in
place of one call for all. The inserts are those of ``batches``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import ijson

from harness.engines.shared.command import Files, main
from harness.engines.steps.batches import insert_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


def restore(dsn: str, files: Files, read: dict[str, int]) -> None:
    """Parse each file as it is read, and insert its records in batches."""
    insert_all(dsn, files, read, records)


def records(stream: BinaryIO) -> Iterator[dict[str, Any]]:
    """Yield the records of a file one by one; numbers are floats, as ``json.load`` has them."""
    yield from ijson.items(stream, "item", use_float=True)


if __name__ == "__main__":
    sys.exit(main(restore, "step-streaming"))
