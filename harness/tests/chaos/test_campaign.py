"""Campaigns as users start them: what is right is said to be right, what is not is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from harness.chaos.campaign import exit_code
from harness.chaos.choices import draw
from harness.chaos.faults import KINDS
from harness.chaos.options import ChaosOptions
from harness.history import store as history
from harness.model.errors import InputError
from harness.model.record import Chaos, Finding, Kill
from harness.report.blocks import to_markdown
from harness.report.chaos import chaos_cell, chaos_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.record import Run

CHECKOUT = Path(__file__).parents[3]
ENGINE = Path(__file__).with_name("restarting_engine.py")
KILLED = Kill(
    cycle=1, kind="restorer-sigkill", at_s=0.5, hit="pid 1", exit_code=-9, attempts=1,
    resumed_after_s=0.25,
)  # fmt: skip
SURVIVED = Kill(cycle=2, kind="connection-reset", at_s=0.7, hit="2 connections")
LOST = Finding(cycle=2, what="lost", count=3, detail="users: 3 of 10 rows missing")


def campaign(
    results: Path, *arguments: str, rows: int = 300, behaviour: str = ""
) -> tuple[int, str, Run]:
    """Run a campaign in a process of its own; return its exit code, words and record."""
    engine = f"mine={sys.executable} {ENGINE} {{backup}} {{dsn}} {{rejects}} {behaviour}"
    command = [sys.executable, "-m", "harness", "chaos", f"--rows={rows}", f"--results={results}"]
    command += [f"--engine-command={engine}", *arguments]
    done = subprocess.run(command, check=False, cwd=CHECKOUT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr, history.History(results).find()


@pytest.mark.slow
def test_a_tiny_campaign_that_all_survive(tmp_path: Path) -> None:
    kinds = ("restorer-sigkill", "server-killed", "connection-reset")
    arguments = ("--kills=3", f"--kinds={','.join(kinds)}", "--seed=4")
    code, said, run = campaign(tmp_path, *arguments, rows=2000)
    assert code == 0, said
    assert run.chaos is not None
    drawn = draw({kind: KINDS[kind].weight for kind in kinds}, 3, seed=4)
    assert [kill.kind for kill in run.chaos.kills] == [choice.kind for choice in drawn]
    assert run.chaos.findings == ()
    assert {cycle.exit_code for cycle in run.chaos.cycles} == {3}  # the damage is realistic
    assert "[3/3] cycle " in said
    assert "3 of 3 faults survived" in said
    listed = subprocess.run(
        [sys.executable, "-m", "harness", "history", f"--results={tmp_path}"],
        check=True, cwd=CHECKOUT, capture_output=True, text=True,
    )  # fmt: skip
    assert "chaos: 3 of 3 faults survived; 0 lost records, 0 duplicate records" in listed.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "what"),
    [("loses", "lost"), ("doubles", "twice"), ("leaves", "leftover"), ("gives-up", "stuck")],
)
def test_an_engine_that_is_not_right_is_found_out(
    tmp_path: Path, behaviour: str, what: str
) -> None:
    keep = tmp_path / "kept"
    arguments = ("--kills=1", "--kinds=restorer-sigkill", f"--keep={keep}")
    code, said, run = campaign(tmp_path / "results", *arguments, behaviour=behaviour)
    assert code == 3, said
    assert run.chaos is not None
    assert [(finding.what, finding.count) for finding in run.chaos.findings] == [(what, 1)]
    [kept] = keep.iterdir()
    assert {path.name for path in kept.iterdir()} >= {"restorer.log", "server.log"}
    marked_processes = [
        process for process in psutil.process_iter() if str(tmp_path) in str(words(process))
    ]
    assert marked_processes == []


def words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_what_makes_no_sense_is_refused() -> None:
    for given in ({"kills": 0}, {"rows": 0}, {"kinds": ("earthquake",)}, {"kinds": ()}):
        with pytest.raises(InputError):
            ChaosOptions(**given)


def test_a_run_without_enough_kills_is_not_well(make_run: Callable[..., Run]) -> None:
    well = Chaos(kills_wanted=2, kills=(KILLED, SURVIVED))
    assert exit_code(make_run(chaos=well)) == 0
    assert exit_code(make_run(chaos=Chaos(kills_wanted=3, kills=(KILLED, SURVIVED)))) == 3
    assert exit_code(make_run(chaos=well, finished_at=None)) == 1


def test_what_is_said_of_a_campaign() -> None:
    chaos = Chaos(
        kills_wanted=2,
        kills=(KILLED, SURVIVED),
        findings=(LOST,),
        left_out={"disk-full-tables": "no right to mount"},
    )
    said = to_markdown(chaos_report(chaos))
    assert "| restorer-sigkill | 1 | 0 | 1 | 0.250 s |" in said
    assert "| connection-reset | 1 | 1 | 0 | - |" in said
    assert "1 of 2 faults survived" in said
    assert "3 lost records" in said
    assert "disk-full-tables: no right to mount" in said
    assert "cycle 2, lost: users: 3 of 10 rows missing" in said
    assert "1 of 2 faults survived; 3 lost records, 0 duplicate records" in chaos_cell(chaos)[0]
