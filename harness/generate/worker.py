"""``python -m harness.generate.worker SPEC INDEX PROCESSES``: makes every n-th block of a dataset.

Internal: started by ``pieces.py``. Each block is written to standard output after a line with its
records, its rows' hashes' and its own size in bytes, and its damaged records as JSON; the hashes
come before it.
"""

from __future__ import annotations

import gc
import itertools
import json
import sys

from harness.generate.block import blocks, make_piece
from harness.generate.plan import make_plan
from harness.generate.scenario import load_scenario
from harness.generate.spec import DatasetSpec


def main(arguments: list[str]) -> int:
    """Make one worker's share of the blocks."""
    spec = DatasetSpec(**json.loads(arguments[0]))
    index, processes = int(arguments[1]), int(arguments[2])
    plan = make_plan(spec, load_scenario(spec.scenario))
    # Blocks make many tuples but no cycles, so that garbage collection would be wasted.
    gc.disable()
    try:
        for table, block in itertools.islice(blocks(plan), index, None, processes):
            piece = make_piece(plan, table, block)
            damaged = json.dumps(list(piece.damaged.items()))
            header = f"{piece.records} {len(piece.digests)} {len(piece.data)} {damaged}\n"
            sys.stdout.buffer.write(header.encode() + piece.digests)
            sys.stdout.buffer.write(piece.data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        return 1  # the parent is gone
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
