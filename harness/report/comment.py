"""The comment on a pull request: the comparison of its commits, as Markdown.

The comparison is read from the JSON of ``compare-commits``, which for a pull request of a fork is
the fork's word. So it is checked, bounded, and written anew: figures are formatted here, and texts
stand as code, in which GitHub reads no links, mentions, references or HTML.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from harness.model.errors import InputError
from harness.report.units import NONE, megabytes, short_time

if TYPE_CHECKING:
    from collections.abc import Iterable

MARKER = "<!-- restorebench: comparison -->"

MAX_BYTES = 200_000
_MAX_ROWS = 40
_MAX_TEXT = 120

# GitHub refuses comments of 65,536 characters and more.
MAX_CHARACTERS = 65_000

_UNSAFE = re.compile(r"[^A-Za-z0-9 .,:;%+=/()@<>#'_~^-]")
_LARGEST = 1e15
_BETTER = {"lower": "better"}

Verdict = Literal["higher", "lower", "same", "inconclusive"]
Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]


class Measured(msgspec.Struct, frozen=True):
    """One measure of an engine, before and after; times in seconds, memory in bytes."""

    engine: str
    measure: str
    before: float | None
    after: float | None
    ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    verdict: Verdict


class End(msgspec.Struct, frozen=True):
    """How a trial ended, and the rows that it restored."""

    status: str
    restored: Count


class Lost(msgspec.Struct, frozen=True):
    """A round in which the newer version restored less."""

    engine: str
    round: Count
    before: End
    after: End
    detail: str | None = None


class Comparison(msgspec.Struct, frozen=True):
    """What ``compare-commits --format json`` prints, as far as the comment shows it."""

    kind: Literal["compare-commits"]
    base: str
    head: str
    worse: bool
    finished: bool
    rounds: Count
    measures: list[Measured]
    losses: list[Lost]
    not_compared: list[str]
    warnings: list[str]

    @property
    def is_worse(self) -> bool:
        """Return whether anything got worse, whatever the field says."""
        is_higher = any(each.verdict == "higher" for each in self.measures)
        return self.worse or is_higher or bool(self.losses)


def read_comparison(content: bytes) -> Comparison:
    """Read the JSON of ``compare-commits``.

    Raises:
        InputError: it is too large, or not of that shape.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"the comparison has more than {MAX_BYTES:,} bytes")
    try:
        return msgspec.json.decode(content, type=Comparison)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"the comparison is not what compare-commits writes: {error}") from error


def comment(comparison: Comparison, *, head: str | None = None, url: str | None = None) -> str:
    """Write the comment.

    Args:
        comparison: what was measured.
        head: the newest commit of the pull request; default what the comparison says.
        url: the address of the run that measured.
    """
    parts = [
        f"{MARKER}\n### Benchmark: {_headline(comparison)}",
        f"{_code(comparison.base)} before, {_code(comparison.head)} after: both in one run, "
        f"{comparison.rounds:,} round{'' if comparison.rounds == 1 else 's'}." + _source(head, url),
        _table(comparison.measures),
        _list("Less complete", [_loss(each) for each in comparison.losses]),
        _list("Not compared, since no round of both is ok", map(_code, comparison.not_compared)),
        _list("Warnings", map(_code, comparison.warnings)),
    ]
    return "\n\n".join(part for part in parts if part)[:MAX_CHARACTERS] + "\n"


def no_comparison(why: str, *, head: str, url: str) -> str:
    """Write the comment of a pull request whose commits were not compared.

    Args:
        why: the reason, in a few words; it is shown as code.
        head: the newest commit of the pull request.
        url: the address of the run that failed.
    """
    return f"{MARKER}\n### Benchmark: not compared\n\n{_code(why)}.{_source(head, url)}\n"


def _headline(comparison: Comparison) -> str:
    if comparison.is_worse:
        return "worse"
    if not comparison.finished:
        return "stopped before the end"
    if comparison.not_compared:
        return "not everything could be compared"
    if any(each.verdict == "inconclusive" for each in comparison.measures):
        return "no regression found, but some measures are inconclusive"
    return "no regression found"


def _source(head: str | None, url: str | None) -> str:
    of = "" if head is None else f" For {_code(head[:12])}."
    return of if url is None else f"{of} [The run]({url})."


def _table(measures: list[Measured]) -> str:
    """Write a row for each measure, those that got worse first."""
    if not measures:
        return ""
    order = sorted(measures, key=lambda each: each.verdict != "higher")
    rows = [_row(each) for each in order[:_MAX_ROWS]]
    more = len(order) - len(rows)
    return "\n".join(
        [
            "| engine | measure | before | after | change | 95% interval | p | verdict |",
            "| :--- | :--- | ---: | ---: | ---: | ---: | ---: | :--- |",
            *rows,
            *([f"\n{more:,} more measures are not shown."] if more else []),
        ]
    )


def _row(each: Measured) -> str:
    has_interval = each.low is not None and each.high is not None
    cells = [
        _code(each.engine),
        _code(each.measure),
        _figure(each.before, each.measure),
        _figure(each.after, each.measure),
        _change(each.ratio),
        f"{_change(each.low)} to {_change(each.high)}" if has_interval else NONE,
        NONE if each.p is None else f"{each.p:.2g}",
        "**worse**" if each.verdict == "higher" else _BETTER.get(each.verdict, each.verdict),
    ]
    return f"| {' | '.join(cells)} |"


def _figure(value: float | None, measure: str) -> str:
    if value is None or not 0 < value < _LARGEST:
        return NONE
    return short_time(value) if measure.endswith("time") else megabytes(value)


def _change(ratio: float | None) -> str:
    return NONE if ratio is None or not 0 < ratio < _LARGEST else f"{ratio - 1:+.1%}"


def _loss(each: Lost) -> str:
    before, after = (
        f"{_code(end.status)} with {end.restored:,} rows" for end in (each.before, each.after)
    )
    why = f": {_code(each.detail)}" if each.detail else ""
    return f"{_code(each.engine)}, round {each.round:,}: {after}, before {before}{why}"


def _list(title: str, items: Iterable[str]) -> str:
    lines = [f"- {item}" for item in items]
    if not lines:
        return ""
    more = len(lines) - _MAX_ROWS
    rest = [f"- and {more:,} more"] if more > 0 else []
    return "\n".join([f"**{title}**\n", *lines[:_MAX_ROWS], *rest])


def _code(text: str) -> str:
    """Write a text as code: without what could end it or the cell that it stands in."""
    cut = text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."
    return f"`{_UNSAFE.sub('?', cut).strip() or '?'}`"
