"""The gate: what it fails, what it lets through, and what it cannot tell; records made by hand."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.analysis.spread import MIN_SESSIONS
from harness.gate.baseline import Baseline, candidates, choose_baseline
from harness.gate.limits import GateSettings, load
from harness.gate.report import gate_data, gate_report
from harness.gate.verdict import Measure, Regression, judge
from harness.history import accepted
from harness.history.accepted import AcceptedChange
from harness.model.errors import HistoryError, InputError
from harness.model.record import Run, Status, TableResult
from harness.report.blocks import to_terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakeRun = Callable[..., Run]

replace = msgspec.structs.replace
SETTINGS = GateSettings()
LOST = TableResult(table="users", expected=1000, found=999, checksum_match=False)
SECONDS = {"legacy": 8.0, "legacy-psycopg2": 8.0, "restore": 2.0, "floor": 1.0}


@pytest.fixture
def run_of(make_run: MakeRun, make_trial: Callable[..., object]) -> Callable[..., Run]:
    """Return what makes a run with a little noise, with what is said of each engine."""

    def build(number: int, *, seconds: dict[str, float] | None = None, **fields: object) -> Run:
        rng = random.Random(number)
        trials = [
            make_trial(engine, wall_s * rng.gauss(1, 0.015), round=round_, **fields)
            for round_ in range(1, 6)
            for engine, wall_s in {**SECONDS, **(seconds or {})}.items()
            if wall_s
        ]
        day = f"2024-{1 + number // 28:02}-{1 + number % 28:02}"
        return make_run(*trials, id=f"run{number:05}", started_at=f"{day}T00:00:00Z")

    return build


def against(run: Run, *earlier: Run, accepted: tuple[AcceptedChange, ...] = ()) -> Baseline:
    return choose_baseline([*earlier, run], run, accepted, "rolling", 10)


def keys(
    of: Run, baseline: Baseline, settings: GateSettings = SETTINGS
) -> set[tuple[str, Measure]]:
    return {found.key for found in judge(of, baseline, settings).findings}


def sessions(run_of: Callable[..., Run], count: int, spread: float = 0.0) -> list[Run]:
    """Return sessions of unchanged code that differ by so much."""
    rng = random.Random(5)
    factors = [rng.gauss(1, spread) for _ in range(count)]
    return [
        run_of(number, seconds={engine: wall_s * by for engine, wall_s in SECONDS.items()})
        for number, by in enumerate(factors)
    ]


def test_the_same_engine_again_passes(run_of: Callable[..., Run]) -> None:
    runs = sessions(run_of, 14)
    for number in range(1, 14):
        judged = judge(runs[number], against(runs[number], *runs[:number]), SETTINGS)
        assert judged.findings == ()
        assert judged.checked == (4 if number >= MIN_SESSIONS else 3)


def test_a_slowdown_beyond_the_usual_spread_of_sessions_fails(run_of: Callable[..., Run]) -> None:
    slow = run_of(20, seconds={"restore": 2.4})
    (found,) = judge(slow, against(slow, *sessions(run_of, 10)), SETTINGS).findings
    assert (found.engine, found.measure, found.regression) == (
        "restore",
        Measure.TIME,
        Regression.SLOWER,
    )
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(1.2, abs=0.03)
    assert found.ratio.rounds == 10
    text = to_terminal(gate_report(slow, against(slow), judge(slow, against(slow), SETTINGS)))
    assert "no earlier run of the same work" in text
    # Where sessions differ by a tenth themselves, nothing can be said of a fifth.
    assert keys(slow, against(slow, *sessions(run_of, 10, 0.1))) == set()


def test_however_many_rounds_a_session_has_it_is_one_observation(
    run_of: Callable[..., Run],
) -> None:
    slow = run_of(3, seconds={"restore": 3.0})
    many = replace(slow, trials=slow.trials * 20)
    judged = judge(many, against(many, run_of(1), run_of(2)), SETTINGS)
    assert judged.findings == ()
    (reason,) = judged.not_judged
    assert "restore, time: 2 earlier sessions on this machine and server, and 8" in reason
    data = gate_data(many, against(many, run_of(1)), judged)
    assert (data["worse"], data["not_judged"]) == (False, [reason])


def test_on_another_machine_times_are_not_judged(run_of: Callable[..., Run]) -> None:
    slow = run_of(20, seconds={"restore": 6.0})
    slow = replace(slow, environment=replace(slow.environment, cpu="Other CPU"))
    judged = judge(slow, against(slow, *sessions(run_of, 12)), SETTINGS)
    assert judged.findings == ()
    assert "0 earlier sessions on this machine" in judged.not_judged[0]


@pytest.mark.parametrize("name", ["floor", "legacy", "legacy-psycopg2"])
def test_a_yardstick_is_never_accused(run_of: Callable[..., Run], name: str) -> None:
    runs = sessions(run_of, 12)
    for seconds in ({name: 20.0}, {name: 0.0}):
        odd = run_of(20, seconds=seconds)
        failed = tuple(
            replace(trial, status=Status.ERROR, tables=()) if trial.engine == name else trial
            for trial in odd.trials
        )
        assert keys(replace(odd, trials=failed), against(odd, *runs)) == set()
    alone = {engine: 0.0 for engine in SECONDS if engine != name}
    odd = run_of(20, seconds={**alone, name: 20.0})
    runs = [run_of(number, seconds=alone) for number in range(12)]
    assert keys(odd, against(odd, *runs)) == {(name, Measure.TIME)}


def test_a_limit_of_ones_own_is_kept(run_of: Callable[..., Run]) -> None:
    slow = run_of(20, seconds={"restore": 2.4})
    wide = GateSettings(engine={"restore": {"time": 0.3}})
    assert keys(slow, against(slow, *sessions(run_of, 10)), wide) == set()


def test_a_fifth_more_memory_fails(run_of: Callable[..., Run]) -> None:
    fat = run_of(3, peak_bytes=120_000_000)
    (found, *_) = judge(fat, against(fat, run_of(1)), SETTINGS).findings
    assert (found.measure, found.regression, found.before, found.after) == (
        Measure.MEMORY,
        Regression.MORE_MEMORY,
        100_000_000,
        120_000_000,
    )


def test_a_single_row_that_is_lost_fails(run_of: Callable[..., Run]) -> None:
    run = run_of(3)
    first, second, restored, *others = run.trials
    assert restored.engine == "restore"
    lossy = replace(restored, status=Status.WRONG_RESULT, tables=(LOST,))
    run = replace(run, trials=(first, second, lossy, *others))
    assert keys(run, against(run, run_of(1))) == {
        ("restore", Measure.SUCCESS),
        ("restore", Measure.OK),
    }


def test_a_benchmark_that_vanished_fails(run_of: Callable[..., Run]) -> None:
    gone = run_of(3, seconds={"restore": 0})
    baseline = against(gone, run_of(1))
    assert keys(gone, baseline) == {("restore", Measure.PRESENT)}
    text = to_terminal(gate_report(gone, baseline, judge(gone, baseline, SETTINGS)))
    assert "missing" in text


def test_an_engine_whose_trials_all_fail_is_less_complete(run_of: Callable[..., Run]) -> None:
    run = run_of(3)
    failed = tuple(
        replace(trial, status=Status.ERROR) if trial.engine == "restore" else trial
        for trial in run.trials
    )
    run = replace(run, trials=failed)
    assert keys(run, against(run, run_of(1))) == {("restore", Measure.OK)}
    assert "no trial is ok" in judge(run, against(run, run_of(1)), SETTINGS).not_judged[-1]


def test_a_baseline_is_of_the_same_work_and_none_that_was_cut_off(
    run_of: Callable[..., Run],
) -> None:
    run, other = run_of(9), run_of(1)
    other = replace(other, dataset=replace(other.dataset, rows=2000))
    cut_off = replace(run_of(2), finished_at=None)
    compared = replace(run_of(3), parameters={"commits": ["a", "b"]})
    good = run_of(4)
    found = choose_baseline([other, cut_off, compared, good, run], run, (), "rolling", 10)
    assert [each.id for each in found.runs] == ["run00004"]
    assert [each.id for each in candidates([compared, good])] == ["run00004"]


def test_a_baseline_can_be_named_by_name_id_or_commit(run_of: Callable[..., Run]) -> None:
    run, other, third = run_of(9), run_of(1), run_of(2)
    other = replace(other, environment=replace(other.environment, commit="feed" * 10))
    named = AcceptedChange(
        run="run00002", started_at=third.started_at, at="x", why="y", name="v1", engines=[]
    )
    for name, expected in (("feedfe", "run00001"), ("run00001", "run00001"), ("v1", "run00002")):
        found = choose_baseline([other, third, run], run, (named,), name, 10)
        assert [each.id for each in found.runs] == [expected]
    with pytest.raises(InputError, match="no other finished run has that name"):
        choose_baseline([other, run], run, (), "v2", 10)
    alien = replace(other, dataset=replace(other.dataset, rows=5))
    with pytest.raises(InputError, match="differ from run"):
        choose_baseline([alien, run], run, (), "feed", 10)


def meant(run: Run, engines: list[str] | None = None) -> AcceptedChange:
    return AcceptedChange(run=run.id, started_at=run.started_at, at="x", why="y", engines=engines)


def test_a_change_that_is_meant_is_what_is_judged_by_from_then_on(
    run_of: Callable[..., Run],
) -> None:
    before = sessions(run_of, 9)
    slow = [run_of(number, seconds={"restore": 2.4}) for number in (20, 21)]
    change = meant(slow[0], ["restore"])
    assert keys(slow[0], against(slow[0], *before, accepted=(change,))) == set()
    assert keys(slow[1], against(slow[1], *before, slow[0], accepted=(change,))) == set()
    slower = run_of(22, seconds={"restore": 2.9})
    assert keys(slower, against(slower, *before, *slow, accepted=(change,)))
    other = meant(slow[0], ["legacy"])
    assert keys(slow[1], against(slow[1], *before, accepted=(other,)))


def test_a_benchmark_that_is_meant_to_be_gone_is_not_missed(run_of: Callable[..., Run]) -> None:
    gone = run_of(3, seconds={"restore": 0})
    assert keys(gone, against(gone, run_of(1), accepted=(meant(gone),))) == set()


def test_settings_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    assert load(path) == GateSettings()
    path.write_text("[tool.harness.gate]\ntime = 0.2\n[tool.harness.gate.engine.floor]\ntime = 1")
    assert load(path).limits("floor").time == 1
    assert load(path).limits("restore").time == 0.2
    for bad in ("speed = 1", "time = 'x'", "runs = 0", "time = -1", "engine.x.size = 1", "= 1"):
        path.write_text(f"[tool.harness.gate]\n{bad}\n")
        with pytest.raises(InputError, match=r"tool\.harness\.gate"):
            load(path)


def test_what_is_accepted_is_kept_a_line_each(tmp_path: Path, run_of: Callable[..., Run]) -> None:
    assert accepted.load(tmp_path) == ()
    first, second = meant(run_of(1)), meant(run_of(2), ["restore"])
    accepted.add(tmp_path / "new", first)
    path = accepted.add(tmp_path / "new", second)
    assert accepted.load(tmp_path / "new") == (first, second)
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(HistoryError, match="line 3"):
        accepted.load(tmp_path / "new")
