"""Reports a campaign of fault injection: in full, and as a cell of the history."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from harness.report.blocks import Bullets, Cell, Column, Grid
from harness.report.units import count, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model.record import Chaos, Kill
    from harness.report.blocks import Block

# The report lists so many findings; the record has them all.
_FINDINGS_NAMED = 20

_NOUNS = {
    "lost": "lost records",
    "twice": "duplicate records",
    "schema": "schema differences",
    "sequence": "sequences behind",
    "leftover": "leftovers",
    "rejects": "unreadable reject files",
    "stuck": "stuck restores",
}
# Reported even if there are none.
_ALWAYS = ("lost", "twice", "schema", "leftover")


def chaos_report(chaos: Chaos) -> tuple[Block, ...]:
    """Lay out the faults that were injected, how restores resumed, and the findings."""
    more = len(chaos.findings) - _FINDINGS_NAMED
    named = [
        f"cycle {each.cycle}, {each.what}: {each.detail}"
        for each in chaos.findings[:_FINDINGS_NAMED]
    ]
    found = (*named, f"and {more} more") if more > 0 else tuple(named)
    left_out = tuple(f"{kind}: {why}" for kind, why in chaos.left_out.items())
    missed = tuple(f"{kind}: {times} times" for kind, times in chaos.missed.items())
    return (
        _grid(chaos.kills),
        f"{'. '.join(sentence for sentence in _sentences(chaos))}.",
        *((Bullets("Kinds not available here:", left_out),) if left_out else ()),
        *((Bullets("Kinds without a target:", missed),) if missed else ()),
        *((Bullets("Findings:", found),) if found else ()),
    )


def chaos_cell(chaos: Chaos) -> Cell:
    """Summarize a campaign for the list of runs."""
    return (f"chaos: {_survived_text(chaos)}; {_counts_text(chaos)}",)


def _sentences(chaos: Chaos) -> Iterator[str]:
    yield f"{_survived_text(chaos)}, in {count(max(len(chaos.cycles) - 1, 0))} restores"
    yield _counts_text(chaos)
    if chaos.cycles:
        yield f"A restore without faults took {seconds(chaos.cycles[0].wall_s)}"


def _survived_text(chaos: Chaos) -> str:
    """Count the faults after which a restore still finished correctly."""
    wrong = {finding.cycle for finding in chaos.findings}
    survived = sum(kill.cycle not in wrong for kill in chaos.kills)
    return f"{count(survived)} of {count(chaos.kills_wanted)} faults survived"


def _counts_text(chaos: Chaos) -> str:
    counts = {what: chaos.found(what) for what in _NOUNS}
    return ", ".join(
        f"{count(found)} {_NOUNS[what]}"
        for what, found in counts.items()
        if found or what in _ALWAYS
    )


def _grid(kills: tuple[Kill, ...]) -> Grid:
    columns = (
        Column("fault", "left"),
        Column("injected"),
        Column("reconnected"),
        Column("resumed"),
        Column("longest until resumed"),
    )
    rows = []
    for kind, landed in sorted(Counter(kill.kind for kill in kills).items()):
        of_kind = [kill for kill in kills if kill.kind == kind]
        resumed = [kill.resumed_after_s for kill in of_kind if kill.resumed_after_s is not None]
        alone = sum(kill.exit_code is None for kill in of_kind)
        longest = seconds(max(resumed)) if resumed else "-"
        cells = (kind, count(landed), count(alone), count(len(resumed)), longest)
        rows.append(tuple((cell,) for cell in cells))
    return Grid(columns, tuple(rows))
