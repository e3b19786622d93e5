"""Asks on the terminal before rows are removed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from restore.text import escape_controls, pluralize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_YES = frozenset({"y", "yes"})


def asker() -> Callable[[Mapping[str, int]], bool] | None:
    """Return what asks, if standard input and standard error are a terminal."""
    return ask_to_empty if sys.stdin.isatty() and sys.stderr.isatty() else None


def ask_to_empty(rows: Mapping[str, int]) -> bool:
    """Ask whether tables may be emptied; all but a clear yes is a no, also Ctrl-C.

    Args:
        rows: the number of rows that would be removed, by table.
    """
    try:
        sys.stderr.write(question(rows))
        sys.stderr.flush()
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        answer = ""
    if not answer.endswith("\n"):
        sys.stderr.write("\n")  # the cursor is still behind the question
    return answer.strip().lower() in _YES


def question(rows: Mapping[str, int]) -> str:
    """Write the question."""
    (first, count), *rest = rows.items()
    held = [f"{escape_controls(first)} holds {pluralize(count, 'row')}"]
    held += [f"{escape_controls(table)} {count:,}" for table, count in rest]
    these = "this table" if not rest else f"these {len(rows)} tables"
    return f"{', '.join(held)}: empty {these} and restore? [y/N] "
