"""The page of runs: every figure as in the terminal, failures visible, nothing of a file runs."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from harness.analysis.figures import figures
from harness.cli.app import main
from harness.cli.docs import published_runs
from harness.history.store import History
from harness.model.record import Chaos, CpuCurve, Status
from harness.report.html.run_page import MAX_RUNS, run_page
from harness.report.run import bench_grid
from harness.tests.report.pages import PUBLISHED, Page, failing, mixed, recorded, replace, scaled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from harness.model.record import Run, Trial

    MakeTrial = Callable[..., Trial]
    MakeRun = Callable[..., Run]

BAD = '"><script>alert(1)</script>\u202e\x1b{{ 7 * 7 }}'


def shown(*runs: Run) -> Page:
    return Page(run_page(runs))


def test_every_figure_of_the_terminal_is_on_the_page() -> None:
    runs = mixed()
    text = shown(*runs).text
    for run in runs:
        cells = [line for row in bench_grid(figures(run)).rows for cell in row for line in cell]
        assert len(cells) > 20
        assert [line for line in cells if line not in text] == []


def test_the_verdict_is_the_sentence_of_the_terminal() -> None:
    text = shown(recorded()).text
    assert "restore was 4.1x faster than legacy with 0.22x its peak memory, over 6 rounds" in text
    assert "All trials are ok." in text
    assert text.count("restore was 4.1x faster") == 1


def test_a_verdict_without_a_comparison_names_what_failed() -> None:
    text = shown(failing(recorded())).text
    assert "legacy has no time to compare it with (6x out of memory)" in text
    assert "Not all trials are ok: 6x out of memory, 6x timeout, 1x wrong result." in text


def test_restore_stands_first_and_the_reference_copy_last() -> None:
    page = shown(recorded())
    engines = page.attributes["data-engine"]
    assert list(dict.fromkeys(engines)) == ["restore", "legacy", "legacy-psycopg2", "floor"]


def test_failures_are_marks_of_their_own_and_enter_no_median() -> None:
    whole, broken = run_page([recorded()]), run_page([failing(recorded())])
    # In time, completeness and three peaks; on two axes, or one.
    triangle, diamond = 'd="M-5,-4 L5,-4 L0,5 Z"', 'd="M0,-5 L5,0 L0,5 L-5,0 Z"'
    limit = 'd="M-4,-5 L4,0 L-4,5 Z"'
    assert triangle not in whole
    assert broken.count(triangle) > 6 * 9
    assert broken.count(limit) > 6 * 9
    assert broken.count(diamond) == 1 * 11  # with the CPU time
    assert "round 1: stopped at 1,800 s, timeout" in broken
    assert "&gt; 1,800 s" in broken


def test_cores_in_use_are_drawn_over_time(make_run: MakeRun, make_trial: MakeTrial) -> None:
    curve = CpuCurve(at_s=(0.5, 1.0, 2.0), cpu_ms=(250, 750, 1750))
    run = make_run(make_trial("restore", 2.0, cpu_curve=curve))
    page = run_page([run])
    assert "Processors used by the engine" in page
    assert "Processors used by the server" not in page
    assert "peak 1.0 cores" in page
    chart = page[page.index("Processors used by the engine") :]
    line = re.search(r'points="([^"]+)"', chart)
    assert line is not None
    assert len(line[1].split()) == 3


def test_many_engines_have_a_row_each_over_time(make_run: MakeRun, make_trial: MakeTrial) -> None:
    curve = CpuCurve(at_s=(0.5, 1.0, 2.0), cpu_ms=(250, 750, 1750))
    engines = [f"engine-{number}" for number in range(9)]
    page = run_page([make_run(*(make_trial(engine, 2.0, cpu_curve=curve) for engine in engines))])
    chart = page[page.index("Processors used by the engine") :]
    chart = chart[: chart.index("</figure>")]
    assert re.findall(r'<div class="value">([^<]+)', chart) == ["1.0 cores"] * 9
    assert [path.split()[-1].split(",")[0] for path in re.findall(r'points="([^"]+)"', chart)] == [
        "100"
    ] * 9


def test_engines_stand_in_the_order_of_their_times(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    trials = [make_trial("restore", 2.0), make_trial("legacy", 1.0), make_trial("floor", 0.5)]
    page = run_page([make_run(*trials)])
    chart = page[page.index("<b>Time</b>") :]
    assert re.findall(r'<div class="name">([^<]+)', chart)[:3] == ["legacy", "restore", "ref. COPY"]
    assert re.search('id="scale-linear" checked', page)
    slow = run_page([make_run(make_trial("restore", 1.0), make_trial("legacy", 31.0))])
    assert re.search('id="scale-log" checked', slow)


def test_an_engine_that_always_failed_is_named_beside_the_frontier() -> None:
    page = run_page([failing(recorded())])
    frontier = page[page.index('id="frontier"') : page.index('id="curves"')]
    assert "6x out of memory" in frontier
    assert "No engine has only trials that are ok" in frontier
    assert 'class="hollow"' in frontier


def test_runs_of_several_sizes_have_slopes() -> None:
    text = shown(*mixed()).text
    assert "rows^1.00, linear" in text
    assert "rows^0.00, constant" in text
    assert "out of memory at 10M" in text
    assert "rows^" not in shown(recorded()).text


def test_filters_are_what_the_runs_differ_in() -> None:
    assert set(shown(recorded()).attributes["name"]) >= {"engine", "scale"}
    assert "size" not in shown(recorded()).attributes["name"]
    stock = replace(recorded(), id="bbbb0001", server=replace(recorded().server, profile="stock"))
    names = shown(*mixed(), stock).attributes["name"]
    assert names.count("size") == 3
    assert names.count("profile") == 2
    assert "faults" not in names


def test_runs_of_the_same_conditions_are_told_apart_by_their_ids() -> None:
    text = shown(recorded(), replace(recorded(), id="bbbb0001")).text
    assert "100,000 rows, run bbbb0001" in text


def test_rejects_are_listed_by_reason(make_run: MakeRun, make_trial: MakeTrial) -> None:
    reason = {"reason": "not a date", "kind": "value", "sqlstate": "22007", "count": 12}
    report = {"tables": [{"table": "users", "reasons": [reason, reason | {"count": 3}]}]}
    trial = make_trial("restore", 1.0, report=msgspec.Raw(msgspec.json.encode(report)))
    odd = make_trial("mine", 1.0, report=msgspec.Raw(b'{"tables": 7}'))
    text = shown(make_run(trial, odd)).text
    assert re.search(r"users\s+12\s+22007\s+not a date", text)
    assert "Rejected records" not in shown(recorded()).text


def test_steps_of_the_ablation_have_a_table(make_run: MakeRun, make_trial: MakeTrial) -> None:
    names = ("legacy", "step-batches", "step-copy-text", "restore")
    run = make_run(*(make_trial(name, 8.0 / n) for n, name in enumerate(names, start=1)))
    text = shown(run).text
    assert "What each technique gains" in text
    assert "COPY for INSERT" in text
    assert "What each technique gains" not in shown(recorded()).text


def test_nothing_of_a_file_is_markup_or_a_script(make_run: MakeRun, make_trial: MakeTrial) -> None:
    reason = {"reason": BAD, "count": 1, "sqlstate": BAD}
    report = {"tables": [{"table": BAD, "reasons": [reason]}]}
    usual = make_run(
        make_trial(BAD, 1.0, detail=BAD, status=Status.ERROR),
        make_trial(BAD + "2", 2.0, report=msgspec.Raw(msgspec.json.encode(report))),
        make_trial("restore", -1.0, peak_bytes=10**18),
        make_trial("floor", 1e300, peak_bytes=0),
        id=BAD,
        parameters={"engines": [BAD], "engine_commands": [f"{BAD}=true"], BAD: [BAD], "jobs": BAD},
    )
    run = replace(
        usual,
        environment=replace(usual.environment, cpu=BAD * 100, commit=BAD, packages={BAD: BAD}),
        dataset=replace(usual.dataset, scenario=BAD, faults=BAD, style=BAD),
        server=replace(usual.server, version=BAD, profile=BAD, settings={BAD: BAD}, kind=BAD),
    )
    text = run_page([run, scaled(run, 10, id="other")])
    page = Page(text)
    assert page.tags.count("script") == 1
    assert {"img", "link", "iframe"} & set(page.tags) == set()
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "49" not in re.findall(r"script>\??\??(\d+)", text)
    assert not [name for name in page.attributes if name.startswith("on")]


def test_the_page_requests_nothing_and_runs_its_own_script_alone() -> None:
    text = run_page(mixed())
    page = Page(text)
    assert {"src", "srcset", "action"} & set(page.attributes) == set()
    assert all(target.startswith("#axis-") for target in page.attributes["href"])
    assert "style" not in page.attributes
    assert not re.search(r"url\(|@import|https?://", text)
    (policy,) = (value for value in page.attributes["content"] if "default-src" in value)
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        (inline,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_a_page_of_the_most_runs_stays_below_2_mb() -> None:
    runs = [scaled(recorded(), 1 + n, id=f"aaaa{n:04}") for n in range(MAX_RUNS)]
    assert len(run_page(runs).encode()) < 2_000_000


def test_the_command_writes_the_runs_that_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = History(tmp_path / "runs")
    for run in mixed():
        history.write(run)
    out = tmp_path / "site" / "index.html"
    common = ("--results", str(history.root), "--out", str(out))
    assert main(["report", "aaaa0010", "6f96", *common]) == 0
    assert str(out) in capsys.readouterr().err
    text = Page(out.read_text(encoding="utf-8")).text
    assert "2 runs" in text
    assert "aaaa0100" not in text
    assert main(["report", *common]) == 0  # the latest
    assert "Run 6f96d745" in Page(out.read_text(encoding="utf-8")).text
    assert main(["report", "--all", *common]) == 0
    assert "3 runs" in Page(out.read_text(encoding="utf-8")).text


def test_the_page_is_written_to_the_build_folder_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    History(tmp_path / "results").write(recorded())
    monkeypatch.chdir(tmp_path)
    assert main(["report"]) == 0
    assert (tmp_path / "build" / "report" / "index.html").is_file()


def test_what_cannot_be_shown_is_an_error_of_one_line(
    tmp_path: Path,
    make_run: MakeRun,
    make_trial: MakeTrial,
    capsys: pytest.CaptureFixture[str],
) -> None:
    history = History(tmp_path)
    history.write(make_run(make_trial("restore", 1.0)))
    history.write(make_run(id="cccc0001", chaos=Chaos(kills_wanted=1)))
    (tmp_path / "file").write_text("")
    common = ("--results", str(tmp_path))
    for words, code, said in (
        (["nothing"], 2, "has no run 'nothing'"),
        (["cccc0001"], 2, "run cccc0001 has no trials"),
        (["aaaa0001", "--all"], 2, "name no run beside it"),
        (["aaaa0001", "--out", str(tmp_path / "file" / "x.html")], 1, "cannot write"),
    ):
        assert main(["report", *words, *common]) == code
        error = capsys.readouterr().err
        assert said in error
        assert len(error.splitlines()) == 1


def test_the_page_of_the_published_runs_is_small_enough() -> None:
    page = run_page(published_runs(PUBLISHED.parent))
    assert len(page.encode()) < 2_000_000
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
