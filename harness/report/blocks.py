"""Blocks of text and tables, drawn for a terminal or as Markdown.

Reports decide the content; this only draws it. A figure is never truncated: if a table does not
fit, its lines grow longer than the terminal, and only columns marked ``wrap`` fold.
"""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

# Wide enough for every table of the project with usual figures; used for pipes and logs.
DEFAULT_WIDTH = 80

# Wider than any table, to measure a table's natural width.
_UNBOUNDED = 100_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading, and the alignment of its cells."""

    title: str
    align: Literal["left", "right"] = "right"
    wrap: bool = False


# A cell's lines: the figure, then lines that qualify it, such as its spread.
Cell = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: columns, and rows with one cell for each column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list under a heading."""

    title: str
    items: tuple[str, ...]


# A paragraph, a list or a table.
Block = str | Bullets | Grid


def to_terminal(
    blocks: tuple[Block, ...], *, width: int = DEFAULT_WIDTH, color: bool = False
) -> str:
    """Draw blocks as lines of text, with a blank line between them.

    Args:
        blocks: what to draw.
        width: characters per line; tables may need more.
        color: whether to emphasise with terminal escapes.
    """
    return "\n".join(_block_to_terminal(block, width, color=color) for block in blocks)


def to_markdown(blocks: tuple[Block, ...]) -> str:
    """Draw blocks as Markdown, as GitHub shows it."""
    return "\n".join(_block_to_markdown(block) for block in blocks)


def _block_to_terminal(block: Block, width: int, *, color: bool) -> str:
    if isinstance(block, Bullets):
        items = (textwrap.indent(_wrap(item, width - 4), "    ")[2:] for item in block.items)
        return f"{block.title}\n" + "".join(f"{item}\n" for item in items)
    if isinstance(block, str):
        return _wrap(block, width) + "\n"
    return _grid_to_terminal(block, width, color=color)


def _wrap(text: str, width: int) -> str:
    """Break a paragraph into lines; a word longer than a line, such as a path, stays whole."""
    return textwrap.fill(
        _printable(text), max(width, 1), break_long_words=False, break_on_hyphens=False
    )


def _grid_to_terminal(grid: Grid, width: int, *, color: bool) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=color, no_color=not color)
    table = _table(grid)
    if not any(column.wrap for column in grid.columns):
        unbounded = console.options.update(width=_UNBOUNDED)
        if Measurement.get(console, unbounded, table).maximum > width:
            table = _table(grid, gap=0)
        # On a terminal that is still too narrow, its own line breaks are better than lost digits.
        console.width = max(width, Measurement.get(console, unbounded, table).maximum)
    with console.capture() as capture:
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def _table(grid: Grid, *, gap: int = 1) -> Table:
    """Convert a grid to rich's table, with a rule under the heading alone, which reads best piped.

    Args:
        grid: the table.
        gap: spaces between columns, in addition to the one that is always there.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
    for column in grid.columns:
        table.add_column(
            Text(column.title),
            justify=column.align,
            no_wrap=not column.wrap,
            overflow="fold",
        )
    for row in grid.rows:
        table.add_row(*(Text(_printable("\n".join(cell).rstrip())) for cell in row))
    return table


def _block_to_markdown(block: Block) -> str:
    if isinstance(block, Bullets):
        items = "".join(f"- {escape(item)}\n" for item in block.items)
        return f"{escape(block.title)}\n\n{items}"
    return escape(block) + "\n" if isinstance(block, str) else _grid_to_markdown(block)


def _grid_to_markdown(grid: Grid) -> str:
    """Write a table in pipes, with the lines after a figure in brackets."""
    rules = {"left": ":---", "right": "---:"}
    lines = [
        [column.title for column in grid.columns],
        [rules[column.align] for column in grid.columns],
        *([escape(_one_line(cell)) for cell in row] for row in grid.rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _one_line(cell: Cell) -> str:
    """Join a cell's lines, those after the first in brackets."""
    first, *rest = [line for line in cell if line] or [""]
    return f"{first} ({'; '.join(rest)})" if rest else first


def escape(text: str) -> str:
    """Escape the characters that Markdown reads as markup."""
    for mark in "\\|<*_`":
        text = text.replace(mark, f"\\{mark}")
    return _printable(text)


def _printable(text: str) -> str:
    """Replace control characters: details quote an engine's output, escapes included."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)
