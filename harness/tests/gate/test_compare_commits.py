"""``compare-commits`` on commits of a copy of this checkout, into which a fault was planted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.cli.app import main
from harness.engines import registry
from harness.model.errors import ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from harness.servers import RunningServer

    Compare = Callable[..., tuple[int, dict[str, Any]]]

CHECKOUT = Path(__file__).parents[3]
GATE_STEP = "compare-commits HEAD~1 . --rows 20000 --rounds 6 --max-rounds 6"

# Each is appended to what runs the restorer.
LOSS = """
    code = main()
    import psycopg
    dsn = next(word for word in __import__("sys").argv if word.startswith("--dsn="))[6:]
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "DELETE FROM order_items WHERE ctid = (SELECT max(ctid) FROM order_items)"
        )
    raise SystemExit(code)
"""
MEMORY = """
    ballast = b"x" * {size}
    raise SystemExit(main())
"""


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Have a copy of this checkout's code in a repository of its own, with one commit."""
    folder = tmp_path / "repository"
    ignored = shutil.ignore_patterns("tests", "*.so", "__pycache__")
    for name in ("restore", "legacy"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(CHECKOUT / name, folder)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    return folder


def plant(repository: Path, code: str) -> None:
    """Commit a restorer that runs other code in place of its last line."""
    path = repository / "restore/__main__.py"
    kept, last = path.read_text(encoding="utf-8").rsplit("\n", 2)[:2]
    assert "SystemExit" in last
    path.write_text(f"{kept}\n{code}", encoding="utf-8")
    git(repository, "commit", "-qam", "two")


@pytest.fixture
def compare(repository: Path, tmp_path: Path, server: RunningServer) -> Compare:
    """Return what compares HEAD~1 with the working tree on a few rows."""

    def run(*more: str) -> tuple[int, dict[str, Any]]:
        made = subprocess.run(
            [
                *(sys.executable, "-P", "-m", "harness", "compare-commits", "HEAD~1", "."),
                *("--rows", "500", "--rounds", "6", "--max-rounds", "6", "--warmup", "0"),
                *("--repeats", "0", "--no-yardsticks", "--time-limit", "9", "--jobs", "1"),
                *("--server", server.dsn("postgres"), "--results", str(tmp_path / "results")),
                *("--format", "json", *more),
            ],
            cwd=repository,
            env={**registry.environment({}), "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.stdout, made.stderr
        return made.returncode, json.loads(made.stdout)

    return run


def measure(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = [each for each in found["measures"] if each["measure"] == name]
    return dict(one)


@pytest.mark.slow
def test_a_commit_that_loses_a_row_is_worse_after_one_round(
    repository: Path, compare: Compare
) -> None:
    plant(repository, LOSS)
    code, found = compare()
    assert code == ExitCode.WORSE
    assert found["worse"] is True
    assert found["rounds"] <= 1
    assert "less complete" in found["conclusion"]
    (loss,) = found["losses"]
    assert loss["before"]["status"] == "ok"
    assert loss["after"]["status"] == "wrong_result"
    assert "missing" in loss["detail"]


@pytest.mark.slow
def test_a_commit_that_needs_15_percent_more_memory_is_worse(
    repository: Path, compare: Compare
) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", "two")
    code, same = compare()
    assert code == ExitCode.OK, same
    assert same["losses"] == []
    before = measure(same, "peak RSS")
    assert before["verdict"] == "same"
    plant(repository, MEMORY.format(size=round(0.15 * before["after"])))
    code, found = compare()
    assert code == ExitCode.WORSE
    assert measure(found, "peak RSS")["verdict"] == "higher"
    assert measure(found, "peak RSS")["ratio"] == pytest.approx(1.15, abs=0.03)
    assert found["losses"] == []


def test_the_gate_with_a_base_compares_the_working_tree_with_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, str, tuple[int, ...]]] = []

    def compared(given: argparse.Namespace, base: str, head: str) -> ExitCode:
        asked.append((base, head, given.rows))
        return ExitCode.WORSE

    monkeypatch.setattr("harness.cli.gate.compare", compared)
    assert main(("gate", "--base", "main", "--rows", "7")) == ExitCode.WORSE
    assert asked == [("main", ".", (7,))]
    assert main(("gate", "aaaa0001", "--base", "main")) == ExitCode.USAGE
    assert "name no run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--rounds", "9", "--max-rounds", "8"), "--max-rounds 8 is less than --rounds 9"),
        (("--time-limit", "-1"), "--time-limit -1 is below 0"),
        (("--time-limit", "nan"), "--time-limit nan is below 0"),
        (("--engine", "restore", "--engine", "restore"), "given twice"),
        (("--rounds", "0"), "--rounds 0 is out of range"),
        (("--rows", "0"), "--rows 0 is out of range"),
    ],
)
def test_arguments_are_checked_before_anything_is_built(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(("compare-commits", "no-such-commit", *words)) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert len(err.splitlines()) == 1


def test_the_gate_of_ci_compares_with_the_commit_before() -> None:
    assert GATE_STEP in (CHECKOUT / ".ci/run").read_text(encoding="utf-8")


def ci_step(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the step of ``.ci/run`` in a folder, with a Python that only says how it was called."""
    text = (CHECKOUT / ".ci/run").read_text(encoding="utf-8")
    step = text[text.index("compare_with_last_commit() {") :]
    step = step[: step.index("\n}\n") + 3]
    python = folder / ".nox/bench/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho called: "$@"\nexit 4\n')
    python.chmod(0o755)
    return subprocess.run(
        ["bash", "-Eeuo", "pipefail", "-c", f"{step}\ncompare_with_last_commit"],
        cwd=folder,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_gate_of_ci_fails_with_the_comparison(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "two")
    for text in ("one", "two"):
        git(tmp_path / "two", "commit", "-q", "--allow-empty", "-m", text)
    made = ci_step(tmp_path / "two")
    assert made.returncode == ExitCode.WORSE
    assert f"called: -m harness {GATE_STEP}" in made.stdout


def test_without_an_earlier_commit_the_gate_of_ci_says_that_nothing_is_judged(
    tmp_path: Path,
) -> None:
    git(tmp_path, "init", "-q", "one")
    git(tmp_path / "one", "commit", "-q", "--allow-empty", "-m", "one")
    made = ci_step(tmp_path / "one")
    assert made.returncode == 0
    assert made.stdout.startswith("not judged: there is no commit before this one here")
