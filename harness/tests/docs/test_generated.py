"""What is made from the code is current, and the architecture names each room."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness.tests.docs.generate import layers, pages
from harness.tests.docs.pages import DOCS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_generated_parts_are_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == pages()[path], "run nox -s docs"


@pytest.mark.parametrize("package", ["restore", "harness"])
def test_the_architecture_describes_the_rooms_of_the_linter(package: str) -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## `{package}/`")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    described = {
        room.removesuffix("/").removesuffix(".py")
        for cell in first_cells
        for room in re.findall(r"`([a-z_]+(?:/|\.py))`", cell)
    }
    assert described == {room for layer in layers(package) for room in layer}
