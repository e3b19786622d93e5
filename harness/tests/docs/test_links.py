"""Links of the documentation lead to files and headings that exist, and every page is reachable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.tests.docs.pages import CHECKOUT, DOCS, PAGES, anchors, links, name

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", [*PAGES, CHECKOUT / "CHANGELOG.md"], ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for target in links(path):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file) if file else path
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert broken == []


def test_the_contents_list_every_page() -> None:
    listed = {target.partition("#")[0] for target in links(DOCS / "README.md")}
    assert {path.name for path in DOCS.glob("*.md")} - {"README.md"} <= listed


def test_the_readme_links_to_the_contents() -> None:
    assert "docs/README.md" in links(CHECKOUT / "README.md")
