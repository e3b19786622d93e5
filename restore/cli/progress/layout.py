"""Parts of a bar's line and their widths, on a terminal of a given width.

On a narrow terminal the bar shrinks first, then the table's name, then figures are left out.
"""

from __future__ import annotations

from msgspec import Struct

_NAME = 24
_BAR = 20
_SHORTEST_NAME = 8
_SHORTEST_BAR = 4
_PERCENT = len("100%")
# The widest figures in practice; each keeps its place while they change.
_FULL = {
    "batches": len("batch 12,345/123,456"),
    "records": len("12,345,678,901 records"),
    "rate": len("1,234,567 records/s"),
    "size": len("123,456.7/123,456.7 MB"),
    "left": len("12 min 34 s left"),
}
_COMPACT = {
    "batches": len("batch 12.3k/123k"),
    "records": len("12.3k records"),
    "rate": len("9,900/s"),
    "size": len("999/999 MB"),
    "left": len("99:59:59"),
}
# Left out of compact figures, in this order, if not even a short name fits beside them.
_LEFT_OUT_FIRST = ("rate", "size", "records", "left")


class Layout(Struct, frozen=True):
    """The widths of a line's parts, in characters.

    Args:
        name: of the table's name.
        bar: of the bar; 0: there is none.
        percent: of the percentage.
        figures: of the figures, from left to right.
        compact: figures are written in their compact form.
    """

    name: int
    bar: int
    percent: int
    figures: dict[str, int]
    compact: bool


def choose_layout(width: int) -> Layout:
    """Choose the layout of lines of this many characters."""
    for compact, figures in ((False, _FULL), (True, _COMPACT)):
        if _room(width, figures) >= _NAME + 1 + _BAR:
            return _layout(width, figures, compact=compact)
    figures = {name: size for name, size in _COMPACT.items() if name != "batches"}
    for left_out in _LEFT_OUT_FIRST:
        if _room(width, figures) >= _SHORTEST_NAME:
            break
        del figures[left_out]
    return _layout(width, figures, compact=True)


def _room(width: int, figures: dict[str, int]) -> int:
    """Return the characters that the percentage and figures, each after a blank, leave."""
    return width - 1 - _PERCENT - sum(1 + size for size in figures.values())


def _layout(width: int, figures: dict[str, int], *, compact: bool) -> Layout:
    room = _room(width, figures)
    name = max(1, min(_NAME, room))
    bar = min(_BAR, room - name - 1)
    if bar < _SHORTEST_BAR:
        bar = 0
    return Layout(name=name, bar=bar, percent=_PERCENT, figures=figures, compact=compact)
