"""What a run says about its engines: what counts, what does not, and what is only a bound."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.analysis.figures import EngineFigures, figures, in_rounds, time_ratio, wall_s
from harness.analysis.stats import Summary, ratio, summarize
from harness.model.record import Status, TableResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.record import Run, Trial

    MakeTrial = Callable[..., Trial]
    MakeRun = Callable[..., Run]

LOST = TableResult(table="users", expected=1000, found=250, checksum_match=False)


def of(run: Run, engine: str) -> EngineFigures:
    found = figures(run).engine(engine)
    assert found is not None
    return found


def test_the_figures_of_trials_that_are_ok(make_run: MakeRun, make_trial: MakeTrial) -> None:
    peaks = (70_000_000, 50_000_000, 60_000_000)
    trials = [
        make_trial("restore", wall_s, peak_bytes=peak)
        for wall_s, peak in zip((2.0, 4.0, 2.5), peaks, strict=True)
    ]
    found = of(make_run(*trials), "restore")
    assert (found.ok, found.attempted) == (3, 3)
    assert found.wall_s == Summary(3, 2.5, 2.0, 4.0)
    assert found.rows_per_s == 400
    assert found.peak_bytes == Summary(3, 60_000_000, 50_000_000, 70_000_000)
    assert found.success is not None
    assert found.success.rate == 1


def test_engines_stand_in_the_order_of_their_first_trial(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    run = make_run(*(make_trial(name, 1.0) for name in ("b", "a", "c", "a", "b")))
    assert [each.engine for each in figures(run).engines] == ["b", "a", "c"]


def test_warm_ups_count_nowhere(make_run: MakeRun, make_trial: MakeTrial) -> None:
    cold = make_trial("restore", 99.0, warmup=True, peak_bytes=1, tables=(LOST,))
    found = of(make_run(cold, make_trial("restore", 1.0)), "restore")
    assert found.attempted == 1
    assert found.wall_s == Summary(1, 1.0, 1.0, 1.0)
    assert found.peak_bytes == Summary(1, 100_000_000, 100_000_000, 100_000_000)
    assert found.success is not None
    assert found.success.rate == 1


@pytest.mark.parametrize(
    "status", [Status.WRONG_RESULT, Status.ERROR, Status.OOM, Status.KILLED, Status.TIMEOUT]
)
def test_a_failure_cannot_look_fast_or_slim(
    make_run: MakeRun, make_trial: MakeTrial, status: Status
) -> None:
    good = [make_trial("restore", 5.0, round=number) for number in (1, 2)]
    quick = make_trial("restore", 0.001, status=status, peak_bytes=1, tables=(LOST,))
    found = of(make_run(*good, quick), "restore")
    assert (found.ok, found.attempted) == (2, 3)
    assert found.wall_s == Summary(2, 5.0, 5.0, 5.0)
    assert found.peak_bytes is not None
    assert found.peak_bytes.low == 100_000_000
    assert found.success is not None
    assert found.success.rate == pytest.approx(2250 / 3000)


@pytest.mark.parametrize("status", [Status.SKIPPED, Status.INTERRUPTED])
def test_what_was_never_tried_to_its_end_is_no_failure(
    make_run: MakeRun, make_trial: MakeTrial, status: Status
) -> None:
    run = make_run(
        make_trial("restore", 5.0), make_trial("restore", None, status=status, tables=())
    )
    found = of(run, "restore")
    assert (found.ok, found.attempted) == (1, 1)
    assert found.success is not None
    assert found.success.rate == 1
    assert len(figures(run).failures) == 1


def test_without_a_trial_that_is_ok_there_is_no_figure(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    failed = make_trial("legacy", 3.0, status=Status.ERROR, tables=(LOST,))
    run = make_run(failed, make_trial("restore", 1.0))
    legacy, restore = of(run, "legacy"), of(run, "restore")
    assert (legacy.wall_s, legacy.at_least_s, legacy.rows_per_s) == (None, None, None)
    assert legacy.peak_bytes is None
    assert legacy.success is not None
    assert legacy.success.rate == 0.25
    assert (restore.speed, restore.speed_at_least, restore.memory) == (None, None, None)


def test_a_trial_in_which_nothing_was_counted_restored_nothing(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    out_of_memory = make_trial("legacy", 3.0, status=Status.OOM, tables=())
    found = of(make_run(out_of_memory, make_trial("restore", 1.0)), "legacy")
    assert found.success is not None
    assert (found.success.restored, found.success.restorable) == (0, 1000)
    assert of(make_run(out_of_memory), "legacy").success is None


def test_rows_that_do_not_belong_there_make_up_for_none(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    doubled = TableResult(table="a", expected=500, found=1000, checksum_match=False)
    lost = TableResult(table="b", expected=500, found=0, checksum_match=False)
    trial = make_trial("restore", 1.0, status=Status.WRONG_RESULT, tables=(doubled, lost))
    found = of(make_run(trial), "restore")
    assert found.success is not None
    assert found.success.rate == 0.5


def test_a_timeout_is_a_lower_bound(make_run: MakeRun, make_trial: MakeTrial) -> None:
    late = [make_trial("legacy", 60.0, status=Status.TIMEOUT, round=n) for n in (1, 2, 3)]
    run = make_run(*late, *(make_trial("restore", wall_s) for wall_s in (2.0, 3.0, 4.0)))
    legacy, restore = of(run, "legacy"), of(run, "restore")
    assert (legacy.wall_s, legacy.at_least_s) == (None, 60.0)
    assert (restore.speed, restore.speed_at_least) == (None, 20.0)


def test_one_quick_round_does_not_hide_the_timeouts_of_the_others(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    lucky = make_trial("legacy", 1.0)
    late = [make_trial("legacy", 60.0, status=Status.TIMEOUT, round=n) for n in (2, 3)]
    legacy = of(make_run(lucky, *late), "legacy")
    assert (legacy.wall_s, legacy.at_least_s) == (None, 60.0)
    most_in_time = of(make_run(lucky, lucky, *late[:1]), "legacy")
    assert most_in_time.wall_s == Summary(2, 1.0, 1.0, 1.0)


def test_ratios_are_of_rounds_and_against_the_reference(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    rounds = ((8, 2), (12, 3), (100, 25), (9, 1))
    trials = [
        make_trial(engine, wall_s, round=number, peak_bytes=peak_bytes)
        for number, pair in enumerate(rounds)
        for engine, wall_s, peak_bytes in (("legacy", pair[0], 4e8), ("restore", pair[1], 1e8))
    ]
    trials[-2] = msgspec.structs.replace(trials[-2], status=Status.ERROR)  # its round has no ratio
    run = make_run(*trials)
    restore, legacy = of(run, "restore"), of(run, "legacy")
    assert restore.speed is not None
    assert restore.speed.value == pytest.approx(4)  # in each round, though not of the medians
    assert restore.speed.rounds == 3
    assert restore.speed.is_descriptive
    assert restore.memory is not None
    assert restore.memory.value == pytest.approx(0.25)
    assert (legacy.speed, legacy.memory) == (None, None)
    assert figures(run, reference=None).engines[1].speed is None
    assert time_ratio(run, "legacy", "restore") == restore.speed
    assert in_rounds(run, "restore", "legacy", wall_s) == ([2, 3, 25], [8, 12, 100])
    assert in_rounds(run, "restore", "legacy", wall_s, until=0) == ([2], [8])


def test_every_engine_is_a_multiple_of_the_floor(make_run: MakeRun, make_trial: MakeTrial) -> None:
    trials = [make_trial("restore", wall_s, round=n) for n, wall_s in enumerate((3.0, 1.5, 6.0))]
    trials += [make_trial("floor", wall_s, round=n) for n, wall_s in enumerate((2.0, 1.0, 4.0))]
    trials += [make_trial("floor", 0.1, status=Status.WRONG_RESULT)]
    trials += [make_trial("floor", 0.1, warmup=True)]
    trials += [make_trial("late", 60.0, status=Status.TIMEOUT)]
    run = make_run(*trials)
    restore, floor, late = (of(run, name) for name in ("restore", "floor", "late"))
    assert restore.vs_floor is not None
    assert restore.vs_floor.value == pytest.approx(1.5)
    assert (floor.vs_floor, floor.vs_floor_at_least) == (None, None)
    assert (late.vs_floor, late.vs_floor_at_least) == (None, 30.0)


def test_without_a_floor_that_is_ok_there_is_no_multiple(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    failed = make_trial("floor", 1.0, status=Status.ERROR)
    for run in (make_run(make_trial("restore", 2.0), failed), make_run(make_trial("restore", 2.0))):
        assert (of(run, "restore").vs_floor, of(run, "restore").vs_floor_at_least) == (None, None)


def test_an_empty_run_has_no_figures(make_run: MakeRun) -> None:
    assert figures(make_run()).engines == ()


def test_few_rounds_get_no_interval_and_enough_get_one_that_holds_the_ratio() -> None:
    slow, fast = [10.0, 11.0, 12.0, 13.0], [1.0, 1.1, 1.2, 1.3]
    few = ratio(slow, fast)
    assert few is not None
    assert (few.low, few.high) == (None, None)
    enough = ratio([*slow, 11.5], [*fast, 1.15])
    assert enough is not None
    assert enough.low is not None
    assert enough.high is not None
    assert enough.value == 10
    assert 10 / 1.3 <= enough.low < 10 < enough.high <= 13
    assert enough == ratio([*slow, 11.5], [*fast, 1.15])


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Of 200 pairs of samples with a true ratio of 1, nearly all intervals must hold 1."""
    spread = statistics.NormalDist(100, 10)
    held = 0
    for seed in range(200):
        found = ratio(spread.samples(7, seed=seed), spread.samples(7, seed=-seed - 1))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 1 <= found.high
    assert 180 <= held <= 200


def test_ratios_of_nothing_or_by_zero_are_none() -> None:
    assert summarize([]) is None
    assert ratio([], [1.0]) is None
    assert ratio([1.0], []) is None
    assert ratio([1.0], [0.0]) is None


def test_a_record_read_from_disk_gives_the_same_figures(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    run = make_run(make_trial("legacy", 9.0), make_trial("restore", 1.0))
    read = msgspec.json.decode(msgspec.json.encode(run), type=type(run))
    assert figures(read).engines == figures(run).engines
