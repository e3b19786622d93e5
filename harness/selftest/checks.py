"""The result of one check of the self-test, and the table of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.blocks import Column, Grid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.report.blocks import Block


@dataclass(frozen=True, slots=True)
class Check:
    """A property that the harness must have, whether it passed, and what was observed."""

    name: str
    passed: bool
    observed: str


def report(checks: Iterable[Check]) -> tuple[Block, ...]:
    """Lay out all checks in a table, followed by the number that failed."""
    made = tuple(checks)
    columns = (
        Column("check", "left", wrap=True),
        Column(""),
        Column("observed", "left", wrap=True),
    )
    rows = tuple(
        ((check.name,), ("ok" if check.passed else "FAILED",), (check.observed,)) for check in made
    )
    failed = sum(not check.passed for check in made)
    summary = f"{failed} of {len(made)} checks failed."
    if not failed:
        summary = f"All {len(made)} checks passed."
    return Grid(columns, rows), summary
