"""Two versions of an engine in one run: what is compared, what is a loss, and when it ends."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.analysis.commits import CommitsTest, Measure, completed_rounds
from harness.analysis.sequential import Plan
from harness.analysis.verdicts import Verdict
from harness.gate.commits import ComparedCommits, exit_code
from harness.model.errors import ExitCode
from harness.model.record import Run, Status
from harness.report.blocks import to_terminal
from harness.report.commits import commits_data, commits_report, conclusion

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.analysis.commits import CommitsJudgement
    from harness.model.record import Trial

    MakeTrial = Callable[..., Trial]
    MakeRun = Callable[..., Run]
    Versions = Callable[..., Run]

BASE, HEAD = "restore@base", "restore@head"
TEST = CommitsTest(
    engines=("restore",),
    limits={
        ("restore", Measure.TIME): 0.05,
        ("restore", Measure.CPU): 0.05,
        ("restore", Measure.MEMORY): 0.10,
    },
    plan=Plan(8, 24),
)


@pytest.fixture
def versions(make_run: MakeRun, make_trial: MakeTrial) -> Versions:
    """Return what builds a run of two versions and a yardstick, a warm-up and some rounds."""

    def build(rounds: int, *, noise: float = 0.01, **effects: float) -> Run:
        rng = random.Random(7)
        trials = []
        for number in range(rounds + 1):
            for name in (BASE, HEAD, "floor"):
                by = effects if name == HEAD else {}
                wall_s = 2 * by.get("time", 1) * (1 + rng.gauss(0, noise))
                if name == "floor":
                    wall_s *= 1 + number  # a yardstick may do what it likes
                trial = make_trial(
                    name,
                    wall_s,
                    round=number or 1,
                    warmup=number == 0,
                    user_s=wall_s / 2,
                    system_s=0.1,
                    peak_bytes=round(1e8 * by.get("memory", 1) * (1 + rng.gauss(0, 0.002))),
                )
                trials.append(trial)
        return make_run(*trials, parameters={"engines": [BASE, HEAD, "floor"]})

    return build


def changed(run: Run, where: tuple[str, int, bool], **fields: object) -> Run:
    """Return the run with other fields in one trial."""
    replace = msgspec.structs.replace
    trials = tuple(
        replace(trial, **fields) if (trial.engine, trial.round, trial.warmup) == where else trial
        for trial in run.trials
    )
    return replace(run, trials=trials)


def verdicts(judgement: CommitsJudgement) -> dict[str, Verdict]:
    return {measure.value: change.verdict for (_, measure), change in judgement.changes.items()}


def code(run: Run) -> ExitCode:
    return exit_code(ComparedCommits(run, TEST.judge(run), ("a", "b"), ()))


def test_equal_versions_are_not_worse(versions: Versions) -> None:
    run = versions(8)
    judgement = TEST.judge(run)
    assert verdicts(judgement) == dict.fromkeys(("time", "CPU time", "peak RSS"), Verdict.SAME)
    assert TEST.rounds_wanted(run) == 8
    assert code(run) is ExitCode.OK
    assert conclusion(judgement) == "No regression found, after 8 of at most 24 rounds."


@pytest.mark.parametrize(("effect", "measure"), [("time", "time"), ("memory", "peak RSS")])
def test_what_got_worse_is_found(versions: Versions, effect: str, measure: str) -> None:
    run = versions(8, **{effect: 1.15})
    judgement = TEST.judge(run)
    assert verdicts(judgement)[measure] is Verdict.HIGHER
    assert TEST.rounds_wanted(run) == 8
    assert code(run) is ExitCode.WORSE
    assert f"restore needs more {measure}" in conclusion(judgement)


def test_what_is_inconclusive_gets_rounds_up_to_the_next_look(versions: Versions) -> None:
    assert TEST.rounds_wanted(versions(0)) == 8
    assert TEST.rounds_wanted(versions(5)) == 8
    assert TEST.rounds_wanted(versions(8, noise=0.3)) == 16
    assert TEST.rounds_wanted(versions(11, noise=0.3)) == 16
    assert TEST.rounds_wanted(versions(24, noise=0.3)) == 24
    judgement = TEST.judge(versions(24, noise=0.3))
    assert "Inconclusive: restore time" in conclusion(judgement)


@pytest.mark.parametrize("warmup", [True, False])
@pytest.mark.parametrize(
    "fields", [{"status": Status.WRONG_RESULT}, {"status": Status.TIMEOUT}, {"tables": ()}]
)
def test_one_loss_is_enough_and_ends_the_run(
    versions: Versions,
    fields: dict[str, object],
    warmup: bool,  # noqa: FBT001 - a case
) -> None:
    run = changed(versions(3), (HEAD, 1, warmup), detail="users: 1 missing", **fields)
    assert TEST.rounds_wanted(run) == 3
    (loss,) = TEST.judge(run).losses
    assert (loss.round, loss.is_warmup) == (1, warmup)
    assert code(run) is ExitCode.WORSE
    judgement = TEST.judge(run)
    text = to_terminal(commits_report(run, judgement, ("a", "b"), ()))
    assert "users: 1 missing" in " ".join(text.split())
    data = commits_data(run, judgement, ("a", "b"), ())
    assert data["worse"] is True
    assert data["losses"][0]["detail"] == "users: 1 missing"


def test_what_the_older_version_lost_too_is_no_loss(versions: Versions) -> None:
    failed = {"status": Status.WRONG_RESULT, "tables": ()}
    both = changed(changed(versions(8), (HEAD, 2, False), **failed), (BASE, 2, False), **failed)
    judgement = TEST.judge(both)
    assert judgement.losses == ()
    change = judgement.changes["restore", Measure.TIME]
    assert change.ratio is not None
    assert change.ratio.rounds == 7
    mended = changed(versions(8), (BASE, 2, False), **failed)
    assert TEST.judge(mended).losses == ()


def test_an_engine_that_is_never_ok_is_not_compared(versions: Versions) -> None:
    run = versions(8)
    for number in range(1, 9):
        for name in (BASE, HEAD):
            run = changed(run, (name, number, False), status=Status.ERROR, tables=())
    judgement = TEST.judge(run)
    assert (judgement.failed, judgement.broken) == (("restore",), ("restore",))
    assert judgement.changes == {}
    assert code(run) is ExitCode.REJECTS
    assert "Not everything could be compared" in conclusion(judgement)


def test_an_engine_that_was_mended_is_no_failure(versions: Versions) -> None:
    run = versions(8)
    for number in range(1, 9):
        run = changed(run, (BASE, number, False), status=Status.ERROR, tables=())
    assert (TEST.judge(run).failed, TEST.judge(run).broken) == (("restore",), ())
    assert code(run) is ExitCode.OK


def test_a_yardstick_that_fails_is_no_loss(versions: Versions) -> None:
    run = changed(versions(8), ("floor", 3, False), status=Status.ERROR, tables=())
    assert code(run) is ExitCode.OK


def test_repeated_and_unfinished_rounds_do_not_count(versions: Versions) -> None:
    run = versions(8)
    assert completed_rounds(run) == 8
    assert completed_rounds(changed(run, ("floor", 8, False), repeated=True)) == 7
    assert completed_rounds(changed(run, (HEAD, 2, False), status=Status.INTERRUPTED)) == 7


def test_a_stopped_comparison_says_so(versions: Versions) -> None:

    run = msgspec.structs.replace(versions(4), finished_at=None)
    assert code(run) is ExitCode.FAILED
