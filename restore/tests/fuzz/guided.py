"""Coverage-guided fuzzing of the reader, the packer or the finder; no test of the suite.

    nox -s fuzz -- TARGET FOLDER -max_total_time=300

FOLDER keeps what reaches new code, and is where the next run goes on. What it finds is written as
a file ``crash-...``: it belongs into ``corpus.py``. It is run by its path: as a module, it would
come after what it fuzzes, which then is not watched.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

with atheris.instrument_imports(include=["restore"]):
    from restore.tests.fuzz import finding, oracle, packing


def read(data: bytes) -> None:
    """Read all but the first byte, which says how much is read at a time."""
    oracle.check(data[1:], 1 + data[0] if data else 1)


# What is done with an input, and what to start from.
TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], Iterable[bytes]]]] = {
    "reader": (read, tuple),
    "packer": (packing.check, packing.seeds),
    "finder": (finding.check, finding.seeds),
}


def main(target: str, folder: str, *options: str) -> None:
    """Fuzz a target for as long as the options of libFuzzer say."""
    one_input, seeds = TARGETS[target]
    Path(folder).mkdir(parents=True, exist_ok=True)
    for n, seed in enumerate(seeds()):
        Path(folder, f"seed-{n}").write_bytes(seed)
    atheris.Setup([sys.argv[0], folder, *options], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) <= 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: nox -s fuzz -- {{{','.join(TARGETS)}}} FOLDER [OPTION OF LIBFUZZER ...]")
    main(*sys.argv[1:])
