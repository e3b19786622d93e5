"""What a check of the harness comes to, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.blocks import Column, Grid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.report.blocks import Block


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold of the harness, whether it does, and what was seen."""

    what: str
    passed: bool
    seen: str


def report(checks: Iterable[Check]) -> tuple[Block, ...]:
    """Lay out all checks, and say how many failed."""
    made = tuple(checks)
    columns = (Column("check", "left", wrap=True), Column(""), Column("seen", "left", wrap=True))
    rows = tuple(
        ((check.what,), ("ok" if check.passed else "FAILED",), (check.seen,)) for check in made
    )
    failed = sum(not check.passed for check in made)
    said = f"{failed} of {len(made)} checks failed." if failed else f"All {len(made)} checks hold."
    return Grid(columns, rows), said
