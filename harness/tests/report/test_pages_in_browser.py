"""The pages in a real browser: accessible, silent, of the window's width, and printable."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from harness.analysis.sessions import session
from harness.analysis.trends import trends
from harness.report.html.run_page import run_page
from harness.report.html.trend_page import trend_page
from harness.tests.report.browser import browser, opened
from harness.tests.report.pages import mixed, recorded, replace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")
PAGES = ("mixed", "one", "trends")

# What is drawn, beside the text that says the same.
DRAWN = ".plot svg, .drawing"


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the pages: runs that fail in several ways, one that does not, and a history."""
    folder = tmp_path_factory.mktemp("pages")
    texts = {"mixed": run_page(mixed()), "one": run_page([recorded()]), "trends": history_page()}
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


def history_page() -> str:
    """Return the trends of 20 sessions, of which the last ten are slower."""
    run = recorded()
    start = datetime(2026, 11, 1, tzinfo=UTC)
    sessions = [
        session(
            replace(
                run,
                id=f"run{day:05}",
                started_at=(start + timedelta(days=day)).isoformat(),
                trials=tuple(
                    replace(trial, wall_s=(trial.wall_s or 0) * (1.5 if day >= 10 else 1))
                    for trial in run.trials
                ),
            )
        )
        for day in range(20)
    ]
    return trend_page(trends(sessions), ["a file: damaged"])


@pytest.mark.parametrize(
    ("name", "width", "scheme"), list(itertools.product(PAGES, WIDTHS, SCHEMES))
)
def test_a_page_is_accessible_silent_and_as_wide_as_the_window(
    started: Browser, pages: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - it may not be there

    with opened(started, pages[name], width=width, scheme=scheme) as (page, seen):
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # Drawings are hidden from readers, and axe would spend a minute on thousands of shapes.
        page.evaluate(f"document.querySelectorAll('{DRAWN}').forEach((each) => each.remove())")
        found = Axe().run(page).response["violations"]
        told = [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found]
        assert told == []
        assert seen.requests == []
        assert seen.messages == []


def test_what_axe_does_not_see_is_hidden_from_readers(
    started: Browser, pages: dict[str, Path]
) -> None:
    with opened(started, pages["one"], width=1280, scheme="light") as (page, _):
        drawn = f"[...document.querySelectorAll('{DRAWN}')]"
        assert page.evaluate(f"{drawn}.length") > 20
        assert page.evaluate(f"{drawn}.every((each) => each.closest('[aria-hidden=true]'))")
        assert page.evaluate(f"{drawn}.every((each) => !each.querySelector('a, [tabindex]'))")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_small(started: Browser, pages: dict[str, Path], name: str) -> None:
    assert pages[name].stat().st_size < 2_000_000
    with opened(started, pages[name], width=1280, scheme="light") as (page, _):
        assert page.evaluate("document.querySelectorAll('*').length") < 20_000


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_printed(started: Browser, pages: dict[str, Path], name: str) -> None:
    with opened(started, pages[name], width=1280, scheme="dark") as (page, seen):
        assert page.pdf(format="A4").startswith(b"%PDF")
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        page.set_viewport_size({"width": 700, "height": 900})  # A4 less its margins
        assert page.evaluate("document.documentElement.scrollWidth") <= 700
        assert page.locator("form").count() == 0 or not page.locator("form").is_visible()
        assert seen.messages == []


def visible(page: Page, selector: str) -> int:
    return sum(each.is_visible() for each in page.locator(selector).all())


def test_filters_hide_engines_and_sizes_and_show_them_again(
    started: Browser, pages: dict[str, Path]
) -> None:
    with opened(started, pages["mixed"], width=1280, scheme="light") as (page, _):
        rows, runs = '.row[data-engine="legacy"]', '.run[data-size="100,000"]'
        before = visible(page, rows), visible(page, runs)
        assert min(before) > 5
        page.get_by_role("checkbox", name="legacy", exact=True).uncheck()
        assert visible(page, rows) == 0
        assert visible(page, '.row[data-engine="restore"]') > 5
        page.get_by_role("checkbox", name="100,000", exact=True).focus()
        page.keyboard.press("Space")
        assert visible(page, runs) == 0
        assert "2 of 7 hidden" in page.get_by_role("status").inner_text()
        page.get_by_role("button", name="Show all").click()
        assert (visible(page, rows), visible(page, runs)) == before


@pytest.mark.parametrize("scripts", [True, False])
def test_axes_are_switched_without_scripts_too(
    started: Browser, pages: dict[str, Path], *, scripts: bool
) -> None:
    with opened(started, pages["one"], width=1280, scheme="light", scripts=scripts) as (page, _):
        assert (visible(page, ".plot > svg.log"), visible(page, ".plot > svg.linear") > 5) == (
            0,
            True,
        )
        page.get_by_role("radio", name="logarithmic").check()
        assert visible(page, ".plot > svg.log") > 5
        assert visible(page, ".strips:not(.one-scale) .plot > svg.linear") == 0
        assert visible(page, ".one-scale .plot > svg.linear") > 0  # shares have one axis


def test_a_page_makes_sense_without_scripts(started: Browser, pages: dict[str, Path]) -> None:
    with opened(started, pages["mixed"], width=1280, scheme="light", scripts=False) as (page, _):
        assert not page.get_by_role("checkbox").first.is_visible()
        assert page.get_by_role("table").count() > 3
        assert visible(page, ".row[data-engine]") > 20


def test_no_text_of_a_chart_overlaps_another(started: Browser, pages: dict[str, Path]) -> None:
    """Labels of one axis, and names of points, stand apart at both widths."""
    overlapping = """() => [...document.querySelectorAll("svg")].flatMap((svg) => {
      const texts = [...svg.querySelectorAll(":scope > text")].map(
        (text) => [text.textContent, text.getBoundingClientRect()]).filter(([, box]) => box.width);
      return texts.flatMap(([one, a], n) => texts.slice(n + 1).filter(([, b]) =>
        a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3
      ).map(([other]) => one + " / " + other));
    })"""
    for name, width in itertools.product(PAGES, WIDTHS):
        with opened(started, pages[name], width=width, scheme="light") as (page, _):
            assert page.evaluate(overlapping) == []
            if name != "trends":
                page.get_by_role("radio", name="logarithmic").check()
                assert page.evaluate(overlapping) == []
