"""``--format json``: nothing but one JSON document on standard output, of a documented shape."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.analysis.figures import figures
from harness.cli import app
from harness.cli.app import main
from harness.engines.ablation import STEPS
from harness.generate import DatasetSpec, cached
from harness.model.record import Chaos, Cycle, Kill, Run
from harness.report.data import ablate_data
from harness.selftest.checks import Check

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.chaos.options import ChaosOptions

DOCS = Path(__file__).parents[3] / "docs/interfaces.md"
FAST, SLOW = "fake:wall=1,mib=10", "fake:wall=2,mib=20"


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(words)
    return code, json.loads(capsys.readouterr().out)


def is_documented(data: dict[str, Any]) -> bool:
    """Return whether the documents name each key of a report."""
    text = DOCS.read_text(encoding="utf-8")
    names = set(re.findall(r"`([a-z_]+)`", text[text.index("## Reports as JSON") :]))
    return set(data) <= names


def test_bench_and_the_gate_on_its_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backup = cached(DatasetSpec(rows=100), tmp_path / "cache")
    at = ("--results", str(tmp_path / "results"), "--format", "json")
    words = ("bench", "--engine", SLOW, "--engine", FAST, "--dataset", str(backup), *at)
    code, data = printed(capsys, *words)
    assert code == 0
    assert (data["kind"], data["schema"], data["finished"]) == ("bench", 1, True)
    assert [each["engine"] for each in data["engines"]] == [SLOW, FAST]
    assert data["engines"][0]["wall_s"] == {"n": 6, "median": 2.0, "low": 2.0, "high": 2.0}
    assert data["failures"] == []
    assert is_documented(data)
    assert all(is_documented(engine) for engine in data["engines"])

    code, first = printed(capsys, "gate", *at)
    assert (code, first["kind"], first["baseline"], first["worse"]) == (0, "gate", [], False)
    assert is_documented(first)
    assert printed(capsys, "history", "latest", *at)[1]["id"] == data["run"]


def test_a_loss_is_a_finding_of_the_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backup = cached(DatasetSpec(rows=100), tmp_path / "cache")
    at = ("--results", str(tmp_path / "results"), "--format", "json")
    for engines in ((FAST, SLOW), (FAST,)):
        named = (word for engine in engines for word in ("--engine", engine))
        printed(capsys, "bench", *named, "--dataset", str(backup), "--rounds", "1", *at)
    code, data = printed(capsys, "gate", *at)
    assert (code, data["worse"]) == (4, True)
    (found,) = data["findings"]
    assert (found["name"], found["regression"]) == (SLOW, "missing")
    assert len(data["baseline"]) == 1
    assert is_documented(found)


def test_what_fails_prints_no_half_of_a_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(("gate", "--results", str(tmp_path), "--format", "json")) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1


def test_ablate(make_run: Callable[..., Run], make_trial: Callable[..., object]) -> None:
    trials = [
        make_trial(step.engine, 2.0 ** (len(STEPS) - number), round=round_)
        for round_ in range(1, 7)
        for number, step in enumerate(STEPS)
    ]
    data = ablate_data(figures(make_run(*trials)))
    json.dumps(data)
    assert data["kind"] == "ablate"
    assert [step["engine"] for step in data["steps"]] == [step.engine for step in STEPS]
    first, second, third, *_ = data["steps"]
    assert (first["gives"], first["so_far"]) == (None, None)
    assert second["gives"]["ratio"] == pytest.approx(2)
    assert third["so_far"]["ratio"] == pytest.approx(4)
    assert third["so_far"]["verdict"] == "higher"
    assert is_documented(data)
    assert is_documented(third)


def test_chaos(
    make_run: Callable[..., Run],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Chaos(
        kills_wanted=1,
        cycles=(Cycle(number=0, wall_s=1.0, starts=1, exit_code=0),),
        kills=(Kill(cycle=1, kind="kill", at_s=0.5, hit="the restorer"),),
    )

    def campaign(options: ChaosOptions, **_: object) -> Run:
        return make_run(chaos=made)

    monkeypatch.setattr("harness.cli.chaos.run_campaign", campaign)
    code, data = printed(capsys, "chaos", "--kills", "1", "--format", "json")
    assert code == 0
    assert (data["kind"], data["kills"][0]["kind"], data["findings"]) == ("chaos", "kill", [])
    assert is_documented(data)


def test_the_selftest(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    checks = (Check("a", passed=True, observed="x"), Check("b", passed=False, observed="y"))
    monkeypatch.setattr("harness.cli.selftest.simulate", lambda *_: checks)
    code, data = printed(capsys, "selftest", "--no-trials", "--format", "json")
    assert (code, data["kind"], data["passed"]) == (1, "selftest", False)
    assert data["checks"][1] == {"name": "b", "passed": False, "observed": "y"}
    assert is_documented(data)


@pytest.mark.parametrize(
    "name",
    ["bench", "chaos", "selftest", "ablate", "gate", "compare", "compare-commits", "history"],
)
def test_every_command_that_reports_has_the_option(name: str) -> None:
    needed = ("main",) if name == "compare-commits" else ()
    words = (name, *needed, "--format", "json")
    assert app.parsed(words).format == "json"
