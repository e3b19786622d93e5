"""The table of engines, engines of the user's, and fake ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from harness.engines import fake as fake_engine
from harness.engines import registry as engines
from harness.model.errors import InputError
from harness.model.manifest import load
from harness.model.record import Status, Trial
from harness.trial import attempt as trial

if TYPE_CHECKING:
    from pathlib import Path

    from harness.engines.engine import Engine

VALUES = {
    "backup": "/b",
    "dsn": "postgresql:///d",
    "report": "/r",
    "rejects": "/j",
    "jobs": "3",
    "prepared": "/f",
}
BLANK = Trial(engine="x", round=1, warmup=False, status=Status.SKIPPED, started_at=trial.now())


@pytest.mark.parametrize("engine", engines.ENGINES, ids=lambda engine: engine.name)
def test_each_engine_is_called_as_the_formats_say(engine: Engine) -> None:
    argv = engine.argv(VALUES)
    if engine.prepare:
        assert argv[2:5] == ("-m", f"harness.engines.{engine.name}", "/f")
        assert "--jobs=3" in argv
    else:
        step = engine.name.removeprefix("step-").replace("-", "_")
        package = engine.name.removesuffix("-psycopg2")
        module = f"harness.engines.steps.{step}" if engine in engines.STEPS else package
        assert argv[2:5] == ("-m", module, "/b")
    assert "--dsn=postgresql:///d" in argv
    assert "--report=/r" in argv
    assert ("--rejects=/j" in argv) is engine.keeps_rejects


def test_the_checkout_is_first_on_the_path_of_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    found = engines.environment({"PGPASSWORD": "x"})
    assert found["PYTHONPATH"].split(os.pathsep) == [str(engines.ROOT), "/elsewhere"]
    assert found["PGPASSWORD"] == "x"
    assert (engines.ROOT / "harness" / "engines" / "registry.py").is_file()


def test_an_engine_of_the_users() -> None:
    mine = engines.command("mine=python 'my file.py' {backup} --to={dsn} {{}}")
    assert engines.named("mine", (mine,)) is mine
    assert mine.argv(VALUES) == ("python", "my file.py", "/b", "--to=postgresql:///d", "{}")
    assert not mine.keeps_rejects
    parallel = engines.command("mine=x {backup} {dsn} -j{jobs}")
    assert parallel.argv(VALUES)[-1] == "-j3"
    assert engines.command("mine=x {backup} {dsn} {rejects}").keeps_rejects


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("python x.py", "expected NAME=COMMAND"),
        ("a b=x {backup} {dsn}", "letters, digits"),
        ("restore=x {backup} {dsn}", "exists"),
        ("mine=x {backup}", "must hold {backup} and {dsn}"),
        ("mine=x {backup} {dsn} {password}", "nothing else in braces"),
        ("mine=x {backup} {dsn} {prepared}", "nothing else in braces"),
        ("mine=x {backup} {dsn} {", "mine"),
        ("mine=x {backup} {dsn} 'open", "No closing quotation"),
        ("mine=x {backup.parent} {dsn}", "nothing else in braces"),
        ("mine=", "must hold"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError) as raised:
        engines.command(text)
    assert says in str(raised.value)


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="legacy, legacy-psycopg2, restore"):
        engines.named("restor")


def tried(name: str, dataset: Path) -> Trial:
    truth = load(dataset)
    fake = fake_engine.fake(name, truth)
    return trial.record(BLANK, fake_engine.engine(name), truth, fake())


@pytest.mark.parametrize(
    ("name", "status", "restored"),
    [
        ("fake:wall=0.2,mib=50", Status.OK, 5),
        ("fake:wall=9,end=timeout,restored=0", Status.TIMEOUT, 0),
        ("fake:exit=1,restored=0.4", Status.ERROR, 2),
        ("fake:signal=9", Status.KILLED, 5),
        ("fake:exit=3,restored=0.4", Status.WRONG_RESULT, 2),
        ("fake:end=oom", Status.OOM, 5),
    ],
)
def test_a_fake_engine_comes_out_as_its_name_says(
    dataset: Path, name: str, status: Status, restored: int
) -> None:
    made = tried(name, dataset)
    assert (made.status, made.restored, made.expected) == (status, restored, 5)


def test_a_fake_engine_takes_what_its_name_says_in_turn(dataset: Path) -> None:
    fake = fake_engine.fake("fake:wall=0.5/2,mib=64", load(dataset))
    outcomes = [fake().outcome for _ in range(3)]
    assert [outcome.wall_s for outcome in outcomes] == [0.5, 2.0, 0.5]
    assert {outcome.peak_bytes for outcome in outcomes} == {64 << 20}


@pytest.mark.parametrize(
    "name",
    [
        "fake:wal=1",
        "fake:wall=x",
        "fake:exit=x",
        "fake:",
        "fake:end=x",
        "fake:wall=0",
        "fake:mib=50/0",
    ],
)
def test_a_fake_engine_of_nonsense_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="a fake engine is written"):
        fake_engine.engine(name)
