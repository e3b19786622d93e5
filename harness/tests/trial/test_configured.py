"""Engines of the user's, by configuration: read, refused, measured and resumed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.bench import run as bench
from harness.bench.options import BenchOptions, options_from_run
from harness.engines import configured
from harness.model.errors import InputError
from harness.model.record import Status

if TYPE_CHECKING:
    from harness.servers import RunningServer

HERE = Path(__file__).parent

MINIMAL = """
[tool.harness.engine.mine]
command = "python 'my file.py' {backup} --to={dsn}"
"""
FULL = """
[tool.harness.engine.mine]
command = ["mine", "{backup}", "{dsn}", "{rejects}"]
versions = "mine 1.2"
keeps_rejects = false
exit_codes = [0, 7]
clean_data_only = true
compressions = ["none", "gz"]
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "engines.toml"
    path.write_text(text)
    return path


def test_a_command_line_is_enough(tmp_path: Path) -> None:
    settings = configured.load(write(tmp_path, MINIMAL))["mine"]
    engine = configured.engine("mine", settings)
    values = {"backup": "/b", "dsn": "postgresql:///d"}
    assert engine.argv(values) == ("python", "my file.py", "/b", "--to=postgresql:///d")
    assert (engine.keeps_rejects, engine.exit_codes, engine.limitations) == (False, (0, 3), ())


def test_what_an_engine_promises_is_taken_at_its_word(tmp_path: Path) -> None:
    engine = configured.engine("mine", configured.load(write(tmp_path, FULL))["mine"])
    assert not engine.keeps_rejects
    assert engine.exit_codes == (0, 7)
    assert engine.version == "mine 1.2"
    known = {(each.key, each.value) for each in engine.limitations}
    assert {("faults", "realistic"), ("faults", "as found"), ("compress", "zst")} <= known
    assert ("compress", "gz") not in known
    assert all(each.skip for each in engine.limitations)


def test_a_version_is_the_first_line_of_a_command() -> None:
    command = [sys.executable, "-c", "print('tool 3.4'); print('more')"]
    settings = configured.EngineSettings(command="x {backup} {dsn}", versions=command)
    assert configured.engine("mine", settings).version == "tool 3.4"
    fails = [sys.executable, "-c", "raise SystemExit(1)"]
    broken = msgspec.structs.replace(settings, versions=fails)
    with pytest.raises(InputError, match="tells no version"):
        configured.engine("mine", broken)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('command = "x {backup} {dsn}"\nfast = true', "fast"),
        ("versions = 'x'", "command"),
        ('command = "x {backup}"', "must hold {backup} and {dsn}"),
        ('command = "x {backup} {dsn} {home}"', "nothing else in braces"),
        ('command = "x {backup} {dsn} \'open"', "No closing quotation"),
        ('command = "x {backup} {dsn}"\ncompressions = ["rar"]', "rar unknown"),
        ('command = "x {backup} {dsn}"\nexit_codes = "0"', "exit_codes"),
        ("command = ", "invalid"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        configured.load(write(tmp_path, f"[tool.harness.engine.mine]\n{text}\n"))
    assert says in str(caught.value)
    assert "engines.toml" in str(caught.value)


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an engine of that name exists"):
        configured.load(write(tmp_path, MINIMAL.replace("mine]", "legacy]")))


def test_a_file_that_is_not_there_matters_only_if_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert configured.load(None) == {}
    with pytest.raises(InputError, match="there is no such file"):
        configured.load(tmp_path / "engines.toml")


@pytest.mark.slow
def test_a_configured_engine_is_measured_and_its_run_repeated(
    server: RunningServer, dataset: Path, tmp_path: Path
) -> None:
    script = HERE / "small_engine.py"
    text = (
        "[tool.harness.engine.mine]\nkeeps_rejects = false\nexit_codes = [7]\nversions = 'v1'\n"
        f"command = ['{sys.executable}', '{script}', "
        "'{backup}', '{dsn}', '{rejects}', 'exit=7']"
    )
    settings = configured.load(write(tmp_path, text))["mine"]
    engine = configured.engine("mine", settings)
    url = server.dsn("postgres") if server.record.kind == "external" else "embedded"
    given = BenchOptions(
        engines=(engine,),
        dataset=dataset,
        results=tmp_path / "r",
        rounds=1,
        warmup=0,
        repeats=0,
        server=url,
    )
    run = bench.run_bench(given, announce=lambda _: None)
    assert [trial.status for trial in run.trials] == [Status.OK], run.trials[0].detail
    assert run.parameters["engine_versions"] == ["mine: v1"]
    assert options_from_run(run, server=url, dataset=dataset).engines == (engine,)
    newer = {**run.parameters, "engine_versions": ["mine: v2"]}
    with pytest.raises(InputError, match="other versions"):
        options_from_run(msgspec.structs.replace(run, parameters=newer), dataset=dataset)
