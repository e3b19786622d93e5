"""Coverage-guided fuzzing of the reader, for as long as one likes; no test of the suite.

    nox -s fuzz -- FOLDER -max_total_time=300

FOLDER keeps what reaches new code, and is where the next run goes on. What it finds is written as
a file ``crash-...``: it belongs into ``corpus.py``. It is run by
its path: as a module, it would come after the reader, which then is not watched.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["restore"]):
    from restore.tests.fuzz.oracle import check


def one_input(data: bytes) -> None:
    """Read all but the first byte, which says how much is read at a time."""
    check(data[1:], 1 + data[0] if data else 1)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
