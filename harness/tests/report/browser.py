"""A real browser for pages: Debian's Chromium, headless, which may reach nothing but files."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

REQUIRED = "RESTOREBENCH_REQUIRE_BROWSER"
# Only a fault takes so long.
TIMEOUT_S = 60
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",  # it has none as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str:
    """Return the path of Chromium; without one, skip the test, or fail it if one is required."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is not None:
        return found
    reason = "there is no Chromium here (Debian: apt-get install chromium)"
    if os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, but {reason}")
    pytest.skip(reason)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser with a profile of its own, which is removed with it."""
    path = chromium()
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where a browser is

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        try:
            yield started
        finally:
            started.close()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page asked for beside itself, and what it wrote to the console."""

    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


@contextmanager
def opened(
    started: Browser, file: Path, *, width: int, scheme: str, scripts: bool = True
) -> Iterator[tuple[Page, Seen]]:
    """Open a file of HTML in a window of its own.

    Args:
        started: the browser.
        file: the page.
        width: that of the window, in pixels.
        scheme: ``light`` or ``dark``.
        scripts: whether the page may run scripts.
    """
    seen = Seen()

    def on_request(request: Request) -> None:
        if request.url != file.as_uri():
            seen.requests.append(request.url)

    def on_message(message: ConsoleMessage) -> None:
        seen.messages.append(message.text)

    context = started.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=scripts,
    )
    try:
        context.set_default_timeout(TIMEOUT_S * 1000)
        page = context.new_page()
        page.on("request", on_request)
        page.on("console", on_message)
        page.on("pageerror", lambda error: seen.messages.append(str(error)))
        page.goto(file.as_uri())
        yield page, seen
    finally:
        context.close()
