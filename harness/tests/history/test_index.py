"""The index of the history: what it finds, how it keeps up, and that nothing rests on it."""

from __future__ import annotations

import csv
import io
import json
import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.cli.app import main
from harness.history.index import FILE, Filters, Index
from harness.history.store import History, file_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.model.record import Run, Trial

replace = msgspec.structs.replace


@pytest.fixture
def history(
    tmp_path: Path, make_run: Callable[..., Run], make_trial: Callable[..., Trial]
) -> History:
    """Have three runs: two of 1,000 rows, the second on another machine, and one of 5 rows."""
    found = History(tmp_path)
    for number in (1, 2, 3):
        trials = [
            make_trial(engine, wall_s * number, round=round_)
            for round_ in (1, 2)
            for engine, wall_s in (("legacy", 8.0), ("restore", 2.0), ("floor", 1.0))
            if not (number == 3 and engine == "legacy")
        ]
        run = make_run(*trials, id=f"aaaa000{number}", started_at=f"2024-0{number}-05T00:00:00Z")
        if number == 2:
            other = replace(run.environment, cpu="100%_Other", commit="feed" * 10)
            run = replace(run, environment=other)
        if number == 3:
            run = replace(run, dataset=replace(run.dataset, rows=5, scenario="pets"))
        found.write(run)
    return found


def ids(history: History, **filters: object) -> list[str]:
    with Index(history) as index:
        return [entry.id[-1] for entry in index.entries(Filters(**filters))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "123"),
        ({"engine": "legacy"}, "12"),
        ({"engine": "psql"}, ""),
        ({"rows": 1000}, "12"),
        ({"scenario": "pets"}, "3"),
        ({"machine": "other"}, "2"),
        ({"machine": "100%_"}, "2"),
        ({"machine": "2 cores"}, "123"),
        ({"commit": "feedfeed"}, "2"),
        ({"since": "2024-02"}, "23"),
        ({"until": "2024-02"}, "12"),
        ({"until": "2024-02-04"}, "1"),
        ({"since": "2024-02-05", "until": "2024-02-05"}, "2"),
        ({"engine": "legacy", "machine": "example"}, "1"),
    ],
)
def test_filters(history: History, filters: dict[str, object], expected: str) -> None:
    assert ids(history, **filters) == list(expected)


@pytest.mark.parametrize("option", ["--since", "--until"])
@pytest.mark.parametrize("date", ["banana", "2024-13-45", "2024-02-30", "20240506", "2024-5", ""])
def test_what_is_no_date_is_refused(
    history: History, option: str, date: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(("history", option, date, "--results", str(history.root)))
    assert f"{date!r} is not a date; write YYYY-MM-DD, YYYY-MM or YYYY" in capsys.readouterr().err


@pytest.mark.parametrize("date", ["2024", "2024-02", "2024-02-29"])
def test_what_is_a_date_is_taken(
    history: History, date: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "aaaa0003" in printed(capsys, "history", "--since", date, "--results", str(history.root))


def test_the_figures_are_those_of_the_runs(history: History) -> None:
    with Index(history) as index:
        rows = index.figures(Filters(), limit=2)
        restore = index.figures(Filters(engine="restore"), limit=9)
    assert [(row["id"][-1], row["engine"]) for row in rows] == [
        *(("2", "legacy"), ("2", "restore"), ("2", "floor")),
        *(("3", "restore"), ("3", "floor")),
    ]
    assert [row["wall_s"] for row in restore] == [2.0, 4.0, 6.0]
    assert [row["x_legacy"] for row in restore] == [0.25, 0.25, None]
    assert {(row["x_floor"], row["success"], row["ok"]) for row in restore} == {(2.0, 1.0, 2)}


def test_what_changes_in_the_folder_changes_in_the_index(
    history: History, make_run: Callable[..., Run], tmp_path: Path
) -> None:
    assert ids(history) == ["1", "2", "3"]
    unfinished = make_run(id="aaaa0004", started_at="2024-04-01T00:00:00Z", finished_at=None)
    path = history.write(unfinished)
    assert ids(history) == ["1", "2", "3", "4"]
    history.write(replace(unfinished, dataset=replace(unfinished.dataset, rows=77)))
    assert ids(history, rows=77) == ["4"]
    path.unlink()
    assert ids(history) == ["1", "2", "3"]
    (tmp_path / "bad.json").write_text("{")
    with Index(history) as index:
        ((name, reason),) = index.skipped()
        assert len(index.entries()) == 3
    assert name.endswith("bad.json")
    assert "not a valid record" in reason


def test_a_damaged_index_is_made_anew(history: History) -> None:
    assert ids(history) == ["1", "2", "3"]
    index = history.root / FILE
    index.write_bytes(b"no database at all" * 1000)
    assert ids(history) == ["1", "2", "3"]
    assert index.read_bytes().startswith(b"SQLite format 3")
    index.unlink()
    index.mkdir()  # where none can be made, it is kept in memory
    assert ids(history) == ["1", "2", "3"]


def test_an_index_of_another_version_is_made_anew(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ids(history) == ["1", "2", "3"]
    path = history.files()[0]
    look = path.stat()
    # The file seems unchanged, so that only a new index reads it again.
    path.write_bytes(path.read_bytes().replace(b"Example CPU", b"Changed CPU"))
    os.utime(path, ns=(look.st_atime_ns, look.st_mtime_ns))
    assert ids(history, machine="changed") == []
    monkeypatch.setattr("harness.history.index.VERSION", 99)
    assert ids(history, machine="changed") == ["1"]


def test_a_run_that_stands_in_both_folders_is_one(history: History, tmp_path: Path) -> None:
    local = tmp_path / "local"
    (run,) = [run for run in history.runs().runs if run.id == "aaaa0001"]
    History(local).write(run)
    both = History(local, published=tmp_path)
    assert (tmp_path / file_name(run)).exists()
    with Index(both) as index:
        assert len(index.entries()) == 3
        assert index.skipped() == []


def test_of_two_files_of_one_run_in_a_folder_one_is_named(
    history: History, make_run: Callable[..., Run]
) -> None:
    path = history.write(make_run(id="aaaa0001", started_at="2024-05-01T00:00:00Z"))
    assert ids(history) == ["2", "3", "1"]
    with Index(history) as index:
        ((name, reason),) = index.skipped()
    assert name != str(path)
    assert reason == f"{path.name} has the same id"


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def test_figures_for_other_programs(history: History, capsys: pytest.CaptureFixture[str]) -> None:
    at = ("--results", str(history.root))
    listed = json.loads(printed(capsys, "history", "--format", "json", *at))
    assert [row["engine"] for row in listed].count("restore") == 3
    text = printed(capsys, "history", "--format", "csv", "--engine", "restore", *at)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["wall_s"] for row in rows] == ["2.0", "4.0", "6.0"]
    shown = json.loads(printed(capsys, "history", "aaaa0001", "--format", "json", *at))
    assert shown["id"] == "aaaa0001"
    text = printed(capsys, "history", "aaaa0001", "--format", "csv", *at)
    assert len(list(csv.DictReader(io.StringIO(text)))) == 6
    told = json.loads(printed(capsys, "compare", "aaaa0001", "aaaa0002", "--format", "json", *at))
    assert {(row["figure"], row["basis"]) for row in told} == {("peak memory", "memory")}


def test_a_trend_is_a_line_a_run(history: History, capsys: pytest.CaptureFixture[str]) -> None:
    at = ("--results", str(history.root))
    text = printed(capsys, "history", "--trend", "--engine", "restore", *at)
    assert [line.split()[0] for line in text.splitlines() if "aaaa" in line] == [
        f"aaaa000{number}" for number in (1, 2, 3)
    ]
    assert printed(capsys, "history", "--trend", "--engine", "nosuch", *at) == ""
    assert main(("history", "--trend", "--engine", "nosuch", *at)) == 0
    assert "no such run is recorded yet" in capsys.readouterr().err
    assert main(("history", "--trend", *at)) == 2
    assert "name it with --engine" in capsys.readouterr().err


def test_times_of_other_machines_are_refused_and_advice_given(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--results", str(history.root))
    assert main(("compare", "aaaa0001", "aaaa0002", "--times", *at)) == 2
    refused = capsys.readouterr().err
    assert "cannot be compared: dataset, machine or server differ" in refused
    assert "measure both on this machine: python -m harness compare-commits" in refused
    assert "vs COPY" in printed(capsys, "compare", "aaaa0001", "aaaa0002", *at)


@pytest.mark.slow
def test_ten_thousand_runs_are_not_read_again(
    tmp_path: Path, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(tmp_path)
    content = msgspec.json.encode(make_run(id="aaaa0000"))
    for number in range(10_000):
        name = f"{number:08x}".encode()
        (tmp_path / f"{number}.json").write_bytes(content.replace(b"aaaa0000", name))
    with Index(history) as index:
        assert len(index.entries()) == 10_000
    read: list[Path] = []
    monkeypatch.setattr("harness.history.index.read", read.append)
    with Index(history) as index:
        assert len(index.entries(Filters(rows=1000))) == 10_000
    assert read == []
