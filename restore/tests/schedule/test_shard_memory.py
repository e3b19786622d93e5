"""A compressed file of any size is loaded by several connections in the same memory."""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from restore.tests.support.target import Target

# What one more copy of the larger file's bytes would take is five times as much.
TOLERANCE_BYTES = 12 << 20


def peak_bytes(target: Target, records: int) -> int:
    noise = random.Random(records)  # noqa: S311 - noise that does not compress
    with gzip.open(target.backup / "things.json.gz", "wt", compresslevel=1) as file:
        file.write("[\n")
        for n in range(records):
            record = {"id": n, "text": noise.randbytes(150).hex()}
            file.write(",\n" * (n > 0) + json.dumps(record))
        file.write("\n]\n")
    target.restore("--clean", "--jobs", "2", is_alone=True)
    report = json.loads(target.report.read_text(encoding="utf-8"))
    assert report["tables"][0]["loaded"] == records
    return int(report["peak_bytes"])


@pytest.mark.slow
def test_the_bytes_of_loaded_shards_are_not_kept(target: Target) -> None:
    target.conn.execute("CREATE TABLE things (id int PRIMARY KEY, text text)")
    small = peak_bytes(target, 50_000)
    large = peak_bytes(target, 250_000)
    assert large < small + TOLERANCE_BYTES
