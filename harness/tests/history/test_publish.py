"""A published copy of a run: smaller, with the same figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from harness.analysis.figures import figures
from harness.cli.app import main
from harness.history.publish import published_copy
from harness.history.store import History
from harness.model.record import NO_REPORT, CpuCurve, Curve, Run, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from harness.model.record import Trial

    MakeTrial = Callable[..., Trial]
    MakeRun = Callable[..., Run]

CURVES = {
    "curve": Curve(at_s=(0.1,), bytes=(1,)),
    "server_curve": Curve(at_s=(0.1,), bytes=(2,)),
    "cpu_curve": CpuCurve(at_s=(0.1,), cpu_ms=(3,)),
    "server_cpu_curve": CpuCurve(at_s=(0.1,), cpu_ms=(4,)),
    "report": msgspec.Raw(b'{"engine": "x"}'),
}


def full(make_run: MakeRun, make_trial: MakeTrial) -> Run:
    failed = {"status": Status.OOM}
    return make_run(
        *(make_trial("restore", wall_s, round=n, **CURVES) for n, wall_s in enumerate((3, 1, 2))),
        *(make_trial("legacy", 9, round=n, **failed, **CURVES) for n in range(2)),
    )


def test_the_median_trial_keeps_all_and_the_others_their_figures(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    run = full(make_run, make_trial)
    copy = published_copy(run)
    kept = [trial.curve is not None for trial in copy.trials]
    assert kept == [False, False, True, True, False]
    assert [trial.report == NO_REPORT for trial in copy.trials] == [not each for each in kept]
    assert copy.trials[2:4] == run.trials[2:4]
    before, after = figures(run), figures(copy)
    assert after.engines == before.engines
    assert published_copy(copy) == copy


def test_runs_and_matrices_are_copied(
    make_run: MakeRun, make_trial: MakeTrial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace, run = msgspec.structs.replace, full(make_run, make_trial)
    history, out = History(tmp_path / "local"), tmp_path / "published"
    of_matrix = {**run.parameters, "matrix": "abcd"}
    for name, parameters in (("1111", of_matrix), ("2222", of_matrix), ("3333", run.parameters)):
        history.write(replace(run, id=name, parameters=parameters, finished_at=run.started_at))
    history.write(replace(run, id="4444", finished_at=None))
    words = ("--results", str(tmp_path / "local"), "--out", str(out))
    assert main(["publish", "abcd", "3333", *words]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert [each.id for each in History(out).runs().runs] == ["1111", "2222", "3333"]
    assert main(["publish", "4444", *words]) == 2
    assert "unfinished" in capsys.readouterr().err
    assert main(["publish", "nothing", *words]) == 2
