"""What the README promises is there: its first commands, and the figures of published runs."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree  # noqa: ICN001 - as the name says

import pytest

from harness.cli.docs import DOCUMENTS, PICTURES, all_blocks, published_runs
from harness.history.store import History
from harness.report.published import pictures, with_blocks

CHECKOUT = Path(__file__).parents[2]
PAGES = sorted(path for pattern in DOCUMENTS for path in CHECKOUT.glob(pattern))


def test_the_two_lines_that_a_newcomer_types() -> None:
    lines = (CHECKOUT / "README.md").read_text(encoding="utf-8").splitlines()
    assert "python -m pip install nox && nox -s bench" in lines
    assert "python -m pip install nox && nox -s tests" in lines


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return all_blocks(published_runs(CHECKOUT / "results"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_figures_are_those_of_the_published_runs(page: Path, made: dict[str, str]) -> None:
    """What differs is written anew by ``python -m harness docs``."""
    text = page.read_text(encoding="utf-8")
    assert with_blocks(text, made) == text


def test_the_pictures_are_those_of_the_published_runs() -> None:
    made = pictures(published_runs(CHECKOUT / "results"))
    assert made
    for name, text in made.items():
        assert (CHECKOUT / PICTURES / name).read_text(encoding="utf-8") == text
        ElementTree.fromstring(text)  # noqa: S314 - our own


def test_every_block_has_its_place(made: dict[str, str]) -> None:
    texts = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in made if f"<!-- {name}:start -->" not in texts] == []


def test_published_runs_can_be_read() -> None:
    assert History(CHECKOUT / "results").runs().unreadable == ()
