"""The peers: their files, their environments, and what is said of one that cannot run here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.cli.app import main
from harness.engines import registry
from harness.engines.peers import catalog, environment
from harness.engines.peers.environment import Environment
from harness.model.errors import HarnessError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PEERS = sorted(set(catalog.folders().values()))
TOML = """
title = "Tool"
homepage = "https://example.org"
about = "A tool."
version = ["{python}", "--version"]
[engines.tool]
about = "as it comes"
command = ["{python}", "{here}/{{x}}.py", "{backup}", "--dsn={dsn}", "{program}"]
[engines.tool-tuned]
about = "tuned"
command = ["{python}", "{backup}", "{dsn}", "{rejects}"]
[[limitations]]
key = "faults"
value = "realistic"
status = "error"
why = "it stops"
engines = ["tool-tuned"]
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of a peer of our own, the only one."""
    folder = tmp_path / "peers" / "tool"
    folder.mkdir(parents=True)
    (folder / "peer.toml").write_text(TOML.replace("{program}", ""))
    (folder / "requirements.txt").write_text("# nothing\n")
    monkeypatch.setattr(catalog, "FOLDER", tmp_path / "peers")
    monkeypatch.setenv("RESTOREBENCH_PEERS", str(tmp_path / "environments"))
    catalog.folders.cache_clear()
    catalog.read.cache_clear()
    yield folder
    catalog.folders.cache_clear()
    catalog.read.cache_clear()


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_says_what_it_is_and_pins_what_it_needs(peer: str) -> None:
    known = catalog.read(peer)
    folder = catalog.FOLDER / peer
    assert known.homepage.startswith("https://")
    assert known.about
    assert known.engines
    assert all(name == peer or name.startswith(f"{peer}-") for name in known.engines)
    assert {name for each in known.limitations for name in each.engines} <= set(known.engines)
    if (folder / "requirements.in").is_file():
        assert "--hash=sha256:" in (folder / "requirements.txt").read_text()
    for lock in folder.glob("package-lock.json"):
        packages = json.loads(lock.read_text())["packages"]
        assert all("resolved" not in each for each in packages.values())
        assert all("integrity" in each for name, each in packages.items() if name)


def test_no_two_engines_have_one_name() -> None:
    own = [engine.name for engine in registry.ENGINES]
    assert not {*own} & {*catalog.names()}


def test_a_peer_without_its_environment_says_how_to_make_it(tool: Path) -> None:
    found = registry.named("tool")
    assert found.missing == (
        "its environment is not made; make it with: python -m harness peers --install tool"
    )
    assert found.version is None
    assert main(["peers", "--format", "json"]) == 3
    with pytest.raises(InputError, match="exists"):
        registry.command("tool=x {backup} {dsn}")


@pytest.mark.slow
def test_an_environment_is_made_once_and_again_if_the_files_change(
    tool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["peers", "--install", "tool", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)["engines"]
    assert [each["engine"] for each in listed] == ["tool", "tool-tuned"]
    assert listed[0]["version"].startswith("3.")
    python = environment.of(tool).folder / "bin" / "python"
    made = python.lstat().st_ctime_ns
    environment.of(tool).install()
    assert python.lstat().st_ctime_ns == made
    values = {"backup": "/b", "dsn": "postgresql:///d", "rejects": "/r"}
    engine = registry.named("tool")
    assert engine.argv(values) == (
        *(str(python), f"{tool}/{{x}}.py"),
        *("/b", "--dsn=postgresql:///d", ""),
    )
    tuned = registry.named("tool-tuned")
    assert (engine.keeps_rejects, tuned.keeps_rejects) == (False, True)
    assert [len(each.limitations) for each in (engine, tuned)] == [0, 1]
    (tool / "requirements.txt").write_text("# something else\n")
    assert environment.of(tool).missing() == "its environment is not up to date"


@pytest.mark.slow
def test_a_package_without_its_hash_is_not_installed(tool: Path) -> None:
    (tool / "requirements.txt").write_text("six==1.16.0\n")
    with pytest.raises(HarnessError, match="hash"):
        environment.of(tool).install()
    assert environment.of(tool).missing() == "its environment is not made"


def test_a_program_that_is_not_there_is_named_with_its_package(tool: Path, tmp_path: Path) -> None:
    (tool / "requirements.txt").unlink()
    text = TOML.replace("{program}", "").replace("[engines.tool]", PACKAGES, 1)
    (tool / "peer.toml").write_text(text)
    assert (
        catalog.engine("tool").missing
        == "no-such-program is not installed; on Debian: apt-get install it"
    )


PACKAGES = '[packages]\nno-such-program = "it"\n[engines.tool]'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TOML.replace("{program}", "{program}"), "unknown placeholder {program}"),
        (TOML.replace('title = "Tool"', ""), "title"),
        (TOML.replace('title = "Tool"', 'title = "Tool"\ncolour = "red"'), "colour"),
    ],
)
def test_a_peer_that_makes_no_sense_is_refused(tool: Path, text: str, said: str) -> None:
    (tool / "peer.toml").write_text(text)
    (tool / "requirements.txt").unlink()
    with pytest.raises(HarnessError, match=said):
        catalog.engine("tool")


def test_an_unknown_peer_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["peers", "mongorestore"]) == 2
    assert "no peer is called 'mongorestore'; there are " in capsys.readouterr().err


def test_a_folder_without_an_environment_lacks_nothing(tmp_path: Path) -> None:
    assert Environment(tmp_path, tmp_path / "environment").missing() is None
