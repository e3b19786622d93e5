"""The result of one check of the self-test, and the table of all of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.report.blocks import Column, Grid
from harness.report.data import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.report.blocks import Block


@dataclass(frozen=True, slots=True)
class Check:
    """A property that the harness must have, whether it passed, and what was observed."""

    name: str
    passed: bool
    observed: str


def report_data(checks: Iterable[Check]) -> dict[str, Any]:
    """Return all checks as data (``docs/interfaces.md``)."""
    made = tuple(checks)
    return {
        "kind": "selftest",
        "schema": SCHEMA_VERSION,
        "passed": all(check.passed for check in made),
        "checks": [dataclasses.asdict(check) for check in made],
    }


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
