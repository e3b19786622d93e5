"""``--report FILE.html``: what a person reads of a restore, from real restores."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from restore.tests.support.target import Target

pytestmark = pytest.mark.server


class _Text(HTMLParser):
    """Collects the text of a page, and what a browser would request or execute."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.foreign: list[str] = []
        self._is_hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_hidden = tag == "style"
        if tag in {"script", "img", "link", "iframe", "object", "base", "form", "svg"}:
            self.foreign.append(tag)
        self.foreign += [name for name, _ in attrs if name in {"src", "href", "srcdoc", "action"}]
        self.foreign += [name for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, _: str) -> None:
        self._is_hidden = False

    def handle_data(self, data: str) -> None:
        if not self._is_hidden:
            self.shown.append(data)


def read(path: Path) -> str:
    page = _Text()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.foreign == []
    return re.sub(r"\s+", " ", " ".join(page.shown))


def restored(target: Target, *arguments: str, exit_code: int) -> str:
    target.report = target.backup.parent / "report.html"
    target.restore(*arguments, exit_code=exit_code)
    return read(target.report)


def test_what_was_not_restored_is_there_with_its_reasons_and_first_records(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL, n int CHECK (n > 0));"
        "CREATE TABLE other (id int PRIMARY KEY)"
    )
    records = [{"id": n, "v": f"v{n}", "n": 1} for n in range(40)]
    for n in (3, 5, 8, 13, 21):
        records[n]["n"] = -n
    records[30]["v"] = None
    records[31]["id"] = 0
    target.write(t=records, other=[{"id": 1}])
    text = restored(target, exit_code=3)
    assert "NOT all restored 34 of 41 records" in text
    assert os.name != "posix" or target.report.stat().st_mode & 0o777 == 0o600
    assert re.search(r"t 40 33 1 6 82.50%", text)
    assert re.search(r"other 1 1 0 0 100%", text)
    reasons = text.partition("What was not restored, and why")[2]
    assert "5 \u00d7 new row for relation" in reasons
    assert "The first 3 of them" in reasons
    shown = [n for n in (3, 5, 8, 13, 21) if f'"n": -{n}}}' in reasons]
    assert shown == [3, 5, 8]
    assert "record 30 at byte" in reasons
    assert '"v": null' in reasons
    assert re.search(
        r"1 \u00d7 duplicate key .* duplicate, SQLSTATE 23505, first: record 31", reasons
    )
    assert "retry" in text


def test_a_whole_restore_is_a_short_page(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY)")
    target.write(t=[{"id": 1}])
    text = restored(target, exit_code=0)
    assert "All restored 1 of 1 record" in text
    assert "What was not restored" not in text


def test_nothing_of_a_backup_is_markup(target: Target) -> None:
    name = "<img onerror>"
    target.conn.execute(f'CREATE TABLE "{name}" (id int PRIMARY KEY, v int)')
    target.write(t=[{"id": 1, "v": "</pre><script>alert(1)</script>\x1b[31m"}])
    text = restored(target, f"--map=t.json=public.{name}", exit_code=3)
    assert f"{name} 1 0 0 1" in text
    assert "</pre><script>alert(1)</script>" in text
    assert "\x1b" not in text


def test_a_restore_that_stopped_says_why(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY);"
        "CREATE TABLE u (id int PRIMARY KEY, t int REFERENCES t)"
    )
    target.write(t=[{"id": "x"}, {"id": 1}], u=[{"id": 1, "t": 1}])
    text = restored(target, "--on-error=stop", "--jobs=1", exit_code=1)
    assert re.search(r"\bu 0 0 0 0 -", text)
    assert "STOPPED before the end" in text
    assert "invalid input syntax" in text
