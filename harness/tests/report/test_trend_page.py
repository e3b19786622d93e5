"""The page shows every session, requests nothing, and survives a hostile history."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.analysis.sessions import session
from harness.analysis.trends import MAX_ENGINES, MAX_TRENDS, trends
from harness.cli.app import main
from harness.history import accepted
from harness.history.accepted import AcceptedChange
from harness.history.store import History
from harness.report.html.trend_page import trend_page
from harness.tests.report.pages import Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.record import Run

RECORDED = Path(__file__).parents[3] / "results"


def write_page(folder: Path, *more: str) -> str:
    out = folder / "site" / "index.html"
    assert main(["trends", "--results", str(folder), "--out", str(out), *more]) == 0
    return out.read_text(encoding="utf-8")


def test_two_sessions_stand_in_charts_and_tables(
    tmp_path: Path, make_run: Callable[..., Run], make_trial: Callable[..., object]
) -> None:
    history = History(tmp_path)
    history.write(make_run(make_trial("restore", 2.0), make_trial("legacy", 9.0)))
    slower = [make_trial("restore", 2.5), make_trial("legacy", 9.0)]
    history.write(make_run(*slower, id="bbbb0002", started_at="2024-05-07T07:08:09Z"))
    page = Page(write_page(tmp_path))
    assert page.tags.count("svg") == 6  # three measures of two engines
    assert page.tags.count("circle") == 12
    assert page.tags.count("table") == 3
    for text in ("aaaa0001", "bbbb0002", "01234567", "2.50 s", "+25.0% since the session before"):
        assert text in page.text
    assert sum("latest" in label for label in page.attributes["aria-label"]) == 6


def test_recorded_runs_of_older_schemas_are_drawn(tmp_path: Path) -> None:
    assert any(b'"schema": 1,' in path.read_bytes() for path in RECORDED.glob("*.json"))
    page = Page(write_page(tmp_path, "--results", str(RECORDED)))
    assert "could not be read" not in page.text
    assert "svg" in page.tags


def test_the_page_requests_nothing(tmp_path: Path) -> None:
    text = write_page(tmp_path, "--results", str(RECORDED))
    page = Page(text)
    assert {"script", "link", "img", "iframe", "image", "use"} & set(page.tags) == set()
    assert {"src", "href", "srcset", "action"} & set(page.attributes) == set()
    assert not re.search(r"url\(|@import|https?://", text)
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text


def test_a_hostile_history_does_not_break_the_page(
    tmp_path: Path, make_run: Callable[..., Run], make_trial: Callable[..., object]
) -> None:
    bad = '"><script>alert(1)</script>\u202e\x1b'
    usual = make_run(make_trial(bad, 1.0), make_trial("restore", 1e-300, peak_bytes=10**18))
    environment = msgspec.structs.replace(usual.environment, cpu=bad * 100, commit=bad)
    dataset = msgspec.structs.replace(usual.dataset, scenario=bad, faults=bad)
    History(tmp_path).write(
        msgspec.structs.replace(usual, environment=environment, dataset=dataset)
    )
    (tmp_path / "20240506T070809Z-cccc0001.json").write_bytes(b'{"schema": 2, "id": "cc')
    (tmp_path / "20240506T070809Z-cccc0002.json").write_bytes(b'{"schema":2,"x":' + b"[" * 99_999)
    (tmp_path / "20240506T070809Z-cccc0003.json").mkdir()
    (tmp_path / "<img src=x>.json").write_bytes(b"\xff")
    why = AcceptedChange(run=usual.id, started_at="?", at="?", why=f"{bad} why")
    accepted.add(tmp_path, why)
    text = write_page(tmp_path)
    page = Page(text)
    assert {"script", "img"} & set(page.tags) == set()
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert page.tags.count("li") == 4
    assert "<img src=x>.json" in page.text


def test_a_damaged_file_of_accepted_changes_is_named(tmp_path: Path) -> None:
    (tmp_path / accepted.FILE).write_text("nonsense\n")
    assert "accepted.jsonl, line 1" in Page(write_page(tmp_path)).text


def test_an_empty_history_has_a_page(tmp_path: Path) -> None:
    assert "no finished run yet" in Page(write_page(tmp_path)).text


def test_a_run_that_compares_commits_or_is_unfinished_is_no_session(
    tmp_path: Path, make_run: Callable[..., Run], make_trial: Callable[..., object]
) -> None:
    history = History(tmp_path)
    history.write(make_run(make_trial("restore", 2.0), finished_at=None))
    compared = {"parameters": {"commits": ["a", "b"]}}
    history.write(make_run(make_trial("restore", 2.0), id="bbbb0002", **compared))
    assert "no finished run yet" in Page(write_page(tmp_path)).text


@pytest.mark.slow
def test_a_large_history_makes_a_small_page(
    make_run: Callable[..., Run], make_trial: Callable[..., object]
) -> None:
    sessions = [
        session(
            make_run(
                *(make_trial(f"engine{each}", 1.0 + day % 7) for each in range(MAX_ENGINES + 5)),
                id=f"run{day:05}",
                started_at=f"{2000 + day // 28}-01-{1 + day % 28:02}",
                parameters={"jobs": 1 + day % (MAX_TRENDS + 4)},
            )
        )
        for day in range(600)
    ]
    text = trend_page(trends(sessions), ["a file: damaged"] * 1000)
    assert len(text) < 6_000_000
    page = Page(text)
    assert page.tags.count("section") == MAX_TRENDS
    assert "980 more" in page.text


def test_a_folder_that_cannot_be_written_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    out = str(tmp_path / "file" / "index.html")
    assert main(["trends", "--results", str(tmp_path), "--out", out]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_a_folder_that_is_missing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "trends.html"
    missing = ("--results", str(tmp_path), "--results", str(tmp_path / "missing"))
    assert main(["trends", *missing, "--out", str(out)]) == 2
    assert "missing: there is no such folder" in capsys.readouterr().err
    assert not out.exists()
