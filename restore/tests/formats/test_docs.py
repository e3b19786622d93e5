"""The page on exports lists every format, as the formats describe themselves."""

from __future__ import annotations

from pathlib import Path

from restore.source.formats.refused import Refused
from restore.source.formats.registry import FORMATS

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"


def lines() -> list[str]:
    """Return the rows of the page's table, those that are refused last."""
    formats = sorted(FORMATS, key=lambda each: (isinstance(each, Refused), each.name))
    return [
        f"| `{each.name}` | {each.title} | {each.recognised_by} |"
        f" {'refused' if isinstance(each, Refused) else 'read'} |".replace("\\|", "|")
        for each in formats
    ]


def test_the_table_is_that_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    section = text.partition("\n## Exports\n")[2].partition("\n### ")[0]
    listed = [
        line
        for line in section.splitlines()
        if line.startswith("| `") and "| `records`" not in line
    ]
    assert listed == lines(), "\n".join(lines())


def test_names_are_given_once() -> None:
    names = [each.name for each in FORMATS]
    assert len(names) == len(set(names))
