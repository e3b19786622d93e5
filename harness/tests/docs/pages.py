"""Reads the pages of the documentation: code blocks, links, anchors and inline code."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

CHECKOUT = Path(__file__).parents[3]
DOCS = CHECKOUT / "docs"
PAGES = [
    *(CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", CHECKOUT / "datasets" / "README.md"),
    *sorted(DOCS.glob("*.md")),
]

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_NO_SLUG = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Block:
    """A code block of a page; ``language`` is empty if the page does not name one."""

    language: str
    text: str
    line: int


def name(path: Path) -> str:
    """Return what pytest calls the test of a page."""
    return path.relative_to(CHECKOUT).as_posix()


def blocks(path: Path) -> list[Block]:
    """Return the code blocks of a page, fenced or indented."""
    return [
        Block(token.info, token.content, (token.map or [0])[0] + 1)
        for token in _tokens(path)
        if token.type in {"fence", "code_block"}
    ]


def inline_code(path: Path) -> list[str]:
    """Return what stands between backticks, tables included."""
    return [
        each.content
        for token in _tokens(path)
        for each in token.children or ()
        if each.type == "code_inline"
    ]


def links(path: Path) -> list[str]:
    """Return the targets of a page's links and images."""
    return [
        str(each.attrs.get("href") or each.attrs["src"])
        for token in _tokens(path)
        for each in token.children or ()
        if each.type in {"link_open", "image"}
    ]


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    seen: Counter[str] = Counter()
    found = set()
    for text in _headings(path):
        slug = _NO_SLUG.sub("", text.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def _headings(path: Path) -> Iterator[str]:
    tokens = _tokens(path)
    for opened, inline in itertools.pairwise(tokens):
        if opened.type == "heading_open":
            yield "".join(each.content for each in inline.children or ())


def _tokens(path: Path) -> list[Token]:
    return _MARKDOWN.parse(path.read_text(encoding="utf-8"))
