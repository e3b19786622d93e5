"""The gate: what it fails, what it lets through, and what it cannot tell; records made by hand."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.gate.baseline import Baseline, candidates, choose_baseline
from harness.gate.confirm import MAX_MORE_ROUNDS, confirm, settle
from harness.gate.drift import drift
from harness.gate.limits import GateSettings, load
from harness.gate.report import gate_report
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
SECONDS = {"legacy": 8.0, "restore": 2.0, "floor": 1.0}


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


def test_the_same_engine_again_passes(run_of: Callable[..., Run]) -> None:
    runs = [run_of(number) for number in range(6)]
    for number in range(1, 6):
        judged = judge(runs[number], against(runs[number], *runs[:number]), SETTINGS)
        assert judged.findings == ()
        assert judged.checked > 8


def test_ten_percent_slower_fails_by_the_floor_and_by_legacy(run_of: Callable[..., Run]) -> None:
    slow = run_of(3, seconds={"restore": 2.2})
    judged = judge(slow, against(slow, run_of(1), run_of(2)), SETTINGS)
    assert {(found.engine, found.measure, found.regression) for found in judged.findings} == {
        ("restore", Measure.FLOOR, Regression.SLOWER),
        ("restore", Measure.LEGACY, Regression.SLOWER),
    }
    told = judged.findings[0].ratio
    assert told is not None
    assert told.value == pytest.approx(1.1, abs=0.02)
    assert told.p is not None
    assert told.p < 0.05


def test_another_machine_that_is_slower_throughout_passes(run_of: Callable[..., Run]) -> None:
    slow = run_of(3, seconds={engine: 3 * wall_s for engine, wall_s in SECONDS.items()})
    slow = replace(slow, environment=replace(slow.environment, cpu="Other CPU"))
    assert keys(slow, against(slow, run_of(1), run_of(2))) == set()


def test_a_limit_of_ones_own_is_kept(run_of: Callable[..., Run]) -> None:
    slow = run_of(3, seconds={"restore": 2.2})
    wide = GateSettings(engine={"restore": {"time": 0.2}})
    assert keys(slow, against(slow, run_of(1), run_of(2)), wide) == set()


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
    lossy = replace(run.trials[1], status=Status.WRONG_RESULT, tables=(LOST,))
    run = replace(run, trials=(run.trials[0], lossy, *run.trials[2:]))
    assert keys(run, against(run, run_of(1))) == {
        ("restore", Measure.SUCCESS),
        ("restore", Measure.OK),
    }


def test_a_benchmark_that_vanished_fails(run_of: Callable[..., Run]) -> None:
    gone = run_of(3, seconds={"restore": 0})
    baseline = against(gone, run_of(1))
    assert keys(gone, baseline) == {("restore", Measure.PRESENT)}
    assert "missing" in to_terminal(
        gate_report(gone, baseline, judge(gone, baseline, SETTINGS), (), None)
    )


def test_an_engine_whose_trials_all_fail_has_no_time_any_more(run_of: Callable[..., Run]) -> None:
    run = run_of(3)
    failed = tuple(
        replace(trial, status=Status.ERROR) if trial.engine == "restore" else trial
        for trial in run.trials
    )
    run = replace(run, trials=failed)
    assert ("restore", Measure.FLOOR) in keys(run, against(run, run_of(1)))
    assert ("restore", Measure.OK) in keys(run, against(run, run_of(1)))


def test_without_floor_and_legacy_times_count_on_the_same_machine_only(
    run_of: Callable[..., Run],
) -> None:
    alone = {"legacy": 0.0, "floor": 0.0}
    before, slow = run_of(1, seconds=alone), run_of(2, seconds={**alone, "restore": 2.4})
    assert keys(slow, against(slow, before)) == {("restore", Measure.TIME)}
    moved = replace(slow, environment=replace(slow.environment, cpu="Other CPU"))
    judged = judge(moved, against(moved, before), SETTINGS)
    assert judged.findings == ()
    assert "other machines" in judged.not_judged[0]


def test_a_machine_that_is_busy_throughout_is_no_slowdown_of_the_yardstick(
    run_of: Callable[..., Run],
) -> None:
    without_legacy = {"legacy": 0.0}
    before = run_of(1, seconds=without_legacy)
    busy = run_of(2, seconds={**without_legacy, "floor": 2.0, "restore": 4.0})
    assert keys(busy, against(busy, before)) == set()


def test_few_rounds_are_not_judged(run_of: Callable[..., Run]) -> None:
    slow = run_of(3, seconds={"restore": 4.0})
    few = replace(slow, trials=slow.trials[:9])
    judged = judge(few, against(few, run_of(1)), SETTINGS)
    assert judged.findings == ()
    assert any("too few rounds" in line for line in judged.not_judged)


def test_a_baseline_is_of_the_same_work_and_none_that_was_cut_off(
    run_of: Callable[..., Run],
) -> None:
    run, other = run_of(9), run_of(1)
    other = replace(other, dataset=replace(other.dataset, rows=2000))
    cut_off = replace(run_of(2), finished_at=None)
    confirming = replace(run_of(3), parameters={"confirms": "run00002"})
    good = run_of(4)
    found = choose_baseline([other, cut_off, confirming, good, run], run, (), "rolling", 10)
    assert [each.id for each in found.runs] == ["run00004"]
    assert [each.id for each in candidates([confirming, good])] == ["run00004"]


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
    slow = [run_of(number, seconds={"restore": 2.4}) for number in (3, 4)]
    change = meant(slow[0], ["restore"])
    assert keys(slow[0], against(slow[0], run_of(1), accepted=(change,))) == set()
    assert keys(slow[1], against(slow[1], run_of(1), slow[0], accepted=(change,))) == set()
    slower = run_of(5, seconds={"restore": 2.7})
    assert keys(slower, against(slower, run_of(1), *slow, accepted=(change,)))
    other = meant(slow[0], ["legacy"])
    assert keys(slow[1], against(slow[1], run_of(1), accepted=(other,)))


def test_a_benchmark_that_is_meant_to_be_gone_is_not_missed(run_of: Callable[..., Run]) -> None:
    gone = run_of(3, seconds={"restore": 0})
    assert keys(gone, against(gone, run_of(1), accepted=(meant(gone),))) == set()


def test_what_creeps_past_the_rolling_baseline_is_found_by_the_history(
    run_of: Callable[..., Run],
) -> None:
    steps = [1.0] * 8 + [1.035] * 6 + [1.07] * 6
    runs = [run_of(n, seconds={"restore": 2 * step}) for n, step in enumerate(steps)]
    newest = runs[-1]
    baseline = choose_baseline(runs, newest, (), "rolling", 5)
    assert keys(newest, baseline) == set()
    found = {each.key: each for each in drift(newest, baseline, SETTINGS)}
    floor = found["restore", Measure.FLOOR]
    assert floor.since in {"run00007", "run00008", "run00009"}
    assert floor.ratio is not None
    assert floor.ratio.value == pytest.approx(1.07, abs=0.02)
    told = choose_baseline(runs, newest, (meant(runs[14]),), "rolling", 5)
    assert list(drift(newest, told, SETTINGS)) == []


def test_an_alarm_stands_only_if_it_is_seen_again(run_of: Callable[..., Run]) -> None:
    slow = run_of(3, seconds={"restore": 2.2})
    baseline = against(slow, run_of(1), run_of(2))
    findings = judge(slow, baseline, SETTINGS).findings
    asked: list[frozenset[str]] = []

    def again(made: Run) -> Callable[[Run, frozenset[str], int | None], Run]:
        def make(_: Run, engines: frozenset[str], rounds: int | None) -> Run:
            assert rounds is None
            asked.append(engines)
            return made

        return make

    assert confirm(slow, findings, baseline, SETTINGS, again(run_of(4))) == ()
    slow_again = run_of(5, seconds={"restore": 2.2})
    assert confirm(slow, findings, baseline, SETTINGS, again(slow_again)) == findings
    assert asked == [frozenset({"restore", "legacy", "floor"})] * 2


def test_what_looks_worse_and_may_be_chance_gets_more_rounds(run_of: Callable[..., Run]) -> None:
    before, run, walls_s = run_of(1), run_of(3), iter((2.2, 1.9, 2.25, 2.0, 2.3))
    trials = [
        replace(trial, wall_s=next(walls_s)) if trial.engine == "restore" else trial
        for trial in run.trials
    ]
    run = replace(run, trials=tuple(trials))
    baseline = against(run, before)
    judged = judge(run, baseline, SETTINGS)
    assert judged.findings == ()
    suspects = {doubt.key for doubt in judged.inconclusive if doubt.is_suspect}
    assert suspects == {("restore", Measure.FLOOR), ("restore", Measure.LEGACY)}
    told = " ".join(to_terminal(gate_report(run, baseline, judged, (), None)).split())
    assert "Inconclusive: restore, vs floor: +" in told
    assert "2 are inconclusive" in told

    def again(seconds: float) -> Callable[[Run, frozenset[str], int | None], Run]:
        def make(_: Run, engines: frozenset[str], rounds: int | None) -> Run:
            assert engines == {"restore", "legacy", "floor"}
            assert rounds is not None
            assert 5 <= rounds <= MAX_MORE_ROUNDS
            more = [run_of(number, seconds={"restore": seconds}) for number in (4, 5)]
            late = [replace(trial, round=trial.round + 5) for trial in more[1].trials]
            return replace(more[0], trials=(*more[0].trials, *late))

        return make

    slower = settle(run, judged.inconclusive, baseline, SETTINGS, again(2.25))
    assert {found.key for found in slower.findings} == suspects
    assert slower.inconclusive == ()
    same = settle(run, judged.inconclusive, baseline, SETTINGS, again(2.0))
    assert same.findings == ()

    taken: list[int] = []

    def torn(_: Run, __: frozenset[str], rounds: int | None) -> Run:
        assert rounds is not None
        taken.append(rounds)
        return run  # as hard to tell as before

    inconclusive = settle(run, judged.inconclusive, baseline, SETTINGS, torn).inconclusive
    assert (taken, sum(taken)) == ([5, 5, 5], MAX_MORE_ROUNDS)
    assert {doubt.key for doubt in inconclusive if doubt.is_suspect} == suspects


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
