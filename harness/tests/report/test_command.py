"""The command on the page repeats the run: the harness's own parser reads the same options."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from harness.cli import bench, compare_commits
from harness.report.command import arguments, commands
from harness.tests.report.pages import recorded, replace

if TYPE_CHECKING:
    from harness.bench.options import BenchOptions
    from harness.model.record import Run


def options_of(run: Run) -> BenchOptions:
    """Parse the command as the harness does."""
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    command, *words = arguments(run)
    assert command == "bench"
    given = parser.parse_args(words)
    return bench.from_arguments(given, bench.chosen_engines(given))


def test_the_command_of_a_published_run_has_its_options() -> None:
    run = recorded()
    options = options_of(run)
    assert options.parameters() == run.parameters
    assert (options.rows, options.seed, options.faults, options.style, options.compress) == (
        *(run.dataset.rows, run.dataset.seed, run.dataset.faults),
        *(run.dataset.style, run.dataset.compress),
    )


def test_other_options_are_repeated_too() -> None:
    command = "mine=./restore.sh --fast {backup} {dsn}"
    parameters = {
        **recorded().parameters,
        "engines": ["restore", "mine"],
        "engine_commands": [command],
        "rounds": 2,
        "warmup": 0,
        "repeats": 7,
        "jobs": 3,
        "timeout_s": 12.5,
        "memory_limit_bytes": 1_234_567_891,
        "server_profile": "stock",
    }
    server = replace(recorded().server, profile="stock")
    run = replace(recorded(), parameters=parameters, server=server)
    assert options_of(run).parameters() == parameters


def test_a_comparison_of_commits_is_repeated_as_one() -> None:
    run = replace(recorded(), parameters={"commits": ["abc123", "def456"], "jobs": 2})
    parser = argparse.ArgumentParser()
    compare_commits.add_arguments(parser)
    command, *words = arguments(run)
    given = parser.parse_args(words)
    assert (command, given.base, given.head) == ("compare-commits", "abc123", "def456")
    assert (given.jobs, given.rows) == (2, (100_000,))


def test_the_commit_comes_first_and_what_is_not_recorded_is_said() -> None:
    run = recorded()
    environment = replace(run.environment, commit="$(reboot)", dirty=True)
    parameters = {**run.parameters, "server": "url"}
    lines = commands(replace(run, environment=environment, parameters=parameters))
    assert shlex.split(lines[0]) == ["git", "checkout", "$(reboot)"]
    assert "changes that are in no commit" in lines[1]
    assert "address is not recorded" in lines[2]
    assert shlex.split(lines[3])[:4] == ["python", "-m", "harness", "bench"]
