"""What is said of a campaign of fault injection, when it is over and in the list of the history."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from harness.report.blocks import Bullets, Cell, Column, Grid
from harness.report.units import count, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model.record import Chaos, Kill
    from harness.report.blocks import Block

# So many findings are written out; the record has them all.
_FINDINGS_NAMED = 20

_WORDS = {
    "lost": "records lost",
    "twice": "records twice",
    "schema": "schema differences",
    "sequence": "sequences behind",
    "leftover": "leftovers",
    "rejects": "unreadable rejects",
    "stuck": "restores stuck",
}
# What is told also where there is none of it.
_ALWAYS = ("lost", "twice", "schema", "leftover")


def chaos_report(of: Chaos) -> tuple[Block, ...]:
    """Say what befell the restores, what they made of it, and what was found."""
    more = len(of.findings) - _FINDINGS_NAMED
    named = [
        f"cycle {each.cycle}, {each.what}: {each.detail}" for each in of.findings[:_FINDINGS_NAMED]
    ]
    found = (*named, f"and {more} more") if more > 0 else tuple(named)
    left_out = tuple(f"{kind}: {why}" for kind, why in of.left_out.items())
    missed = tuple(f"{kind}: {times} times" for kind, times in of.missed.items())
    return (
        _grid(of.kills),
        f"{'. '.join(sentence for sentence in _sentences(of))}.",
        *((Bullets("Left out:", left_out),) if left_out else ()),
        *((Bullets("Found nothing to hit:", missed),) if missed else ()),
        *((Bullets("Not as it should be:", found),) if found else ()),
    )


def chaos_cell(of: Chaos) -> Cell:
    """Say in the list of runs how a campaign came out."""
    return (f"chaos: {_survived(of)}; {_counts(of)}",)


def _sentences(of: Chaos) -> Iterator[str]:
    yield f"{_survived(of)}, in {count(max(len(of.cycles) - 1, 0))} restores"
    yield _counts(of)
    if of.cycles:
        yield f"A restore that nothing befell took {seconds(of.cycles[0].wall_s)}"


def _survived(of: Chaos) -> str:
    """Count the kills after which a restore was brought to its right end."""
    wrong = {finding.cycle for finding in of.findings}
    survived = sum(kill.cycle not in wrong for kill in of.kills)
    return f"{count(survived)} of {count(of.kills_wanted)} kills survived"


def _counts(of: Chaos) -> str:
    told = {what: of.found(what) for what in _WORDS}
    return ", ".join(
        f"{count(found)} {_WORDS[what]}" for what, found in told.items() if found or what in _ALWAYS
    )


def _grid(kills: tuple[Kill, ...]) -> Grid:
    columns = (
        Column("fault", "left"),
        Column("landed"),
        Column("went on by itself"),
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
