"""Measures, for each type, how fast C and the general path make rows of a table of one column.

``python -m restore.tests.load.type_rates`` prints the table of docs/technical-report.md.
"""

from __future__ import annotations

import sys
import time
from statistics import median
from typing import TYPE_CHECKING

from restore.tests.fuzz.packing import CODECS, SEEDS

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 4_000
ROUNDS = 9
# Of the same type, bounded columns cost what unbounded ones do.
NAMES = tuple(name for name, is_wide in CODECS if not is_wide and not name.endswith(")"))


def record_of(name: str) -> bytes:
    """Return a record with a value of a type in its usual form."""
    column = CODECS[name, False].columns[0]
    type_name = f"_{name[:-2]}" if name.endswith("[]") else name
    return b'{"%b":%b}' % (column.encode(), SEEDS[type_name])


def ways_of(name: str) -> dict[str, Callable[[], object]]:
    """Return what makes rows of ``COUNT`` records: C, the general path, and that one by one."""
    codec, record = CODECS[name, False], record_of(name)
    data, alone = b"[%b]" % b",".join([record] * COUNT), b"[%b]" % record
    if codec.native is None:
        raise AssertionError(f"{name} is not packed in C")
    pack, decode = codec.native.pack, codec.decode
    return {
        "C": lambda: pack(data),
        "general path": lambda: decode(data),
        "one by one": lambda: [decode(alone) for _ in range(COUNT)],
    }


def rates_of(name: str) -> list[float]:
    """Return rows a second of processor time: medians of rounds in which the ways alternate."""
    ways = list(ways_of(name).values())
    taken_s: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for way, times in zip(ways, taken_s, strict=True):
            started = time.process_time()
            way()
            times.append(time.process_time() - started)
    return [COUNT / median(times) for times in taken_s]


def main() -> None:
    """Print the table."""
    lines = ["| type | C | general path | one by one |", "|---|---:|---:|---:|"]
    for name in NAMES:
        cells = " | ".join(f"{rate / 1000:,.0f}" for rate in rates_of(name))
        lines.append(f"| `{name}` | {cells} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
