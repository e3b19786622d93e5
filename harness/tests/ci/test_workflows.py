"""The workflows: what they may do, and that their steps, run in order, do what they should."""

from __future__ import annotations

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from harness.tests.ci.workflows import (
    CHECKOUT,
    INSTALL,
    WORKFLOWS,
    Job,
    Machine,
    git,
    load,
    sessions,
)

if TYPE_CHECKING:
    from pathlib import Path

NAMES = sorted(path.stem for path in WORKFLOWS.glob("*.yml"))

# A restorer that loses a row once it is done, and says nothing of it.
LOSS = """
import psycopg, sys
kept = main()
dsn = next(word for word in sys.argv if word.startswith("--dsn=")).removeprefix("--dsn=")
with psycopg.connect(dsn) as connection:
    connection.execute("DELETE FROM documents WHERE ctid = (SELECT min(ctid) FROM documents)")
raise SystemExit(kept)
"""
BENCH = "--rows 2000 --rounds 1 --warmup 0 --engine restore --no-floor --server embedded"
COMPARE = "--rows 2000 --rounds 1 --max-rounds 1 --warmup 0 --no-yardsticks --server embedded"


def jobs() -> list[tuple[str, str, dict[str, Any]]]:
    return [(name, job, made) for name in NAMES for job, made in load(name)["jobs"].items()]


def steps() -> list[dict[str, Any]]:
    return [step for _, _, job in jobs() for step in job["steps"]]


def test_a_step_is_an_action_or_a_session() -> None:
    named = sessions()
    assert "history-push" in named
    others = re.compile(
        r"(sudo apt-get update && sudo apt-get install |docker pull |cat build/comparison/)"
        r"[^;&|]*$"
    )
    for command in (step["run"] for step in steps() if "run" in step):
        rest = re.sub(f"^{INSTALL.pattern}(?: && )?", "", command)
        if rest and not others.fullmatch(rest):
            found = re.fullmatch(r"nox (?:-R )?-s ([\w -]+?)(?: -- [^;&|]*)?", rest)
            assert found, command
            assert set(found[1].split()) <= named


def test_nothing_of_an_event_is_part_of_a_command() -> None:
    assert [step["run"] for step in steps() if "${{" in step.get("run", "")] == []


def test_actions_are_pinned_and_leave_no_token_behind() -> None:
    used = [step for step in steps() if "uses" in step]
    assert len(used) > 10
    assert [one["uses"] for one in used if not re.search(r"@[0-9a-f]{40}$", one["uses"])] == []
    checkouts = [one for one in used if one["uses"].startswith("actions/checkout@")]
    assert all(one["with"]["persist-credentials"] is False for one in checkouts)


def test_what_may_write_installs_what_was_reviewed() -> None:
    for name, job, made in jobs():
        if "write" in made.get("permissions", {}).values():
            installs = [step["run"] for step in made["steps"] if "pip" in step.get("run", "")]
            assert installs == ["python -m pip install --constraint constraints.txt nox"], (
                name,
                job,
            )


def test_only_what_must_may_write() -> None:
    assert {name: load(name)["permissions"] for name in NAMES} == {
        "ci": {"contents": "read"},
        "comment": {},
        "history": {},
    }
    writes = {
        (name, job, scope)
        for name, job, made in jobs()
        for scope, access in made.get("permissions", {}).items()
        if access == "write"
    }
    assert writes == {
        ("comment", "comment", "pull-requests"),
        ("history", "record", "contents"),
        ("history", "trends", "pages"),
        ("history", "trends", "id-token"),
    }


def test_what_may_write_runs_the_code_of_the_default_branch() -> None:
    assert set(load("comment")["on"]) == {"workflow_run"}
    assert set(load("history")["on"]) == {"push", "schedule"}
    assert load("history")["on"]["push"] == {"branches": ["main"]}
    (checkout,) = (
        step
        for step in load("comment")["jobs"]["comment"]["steps"]
        if step.get("uses", "").startswith("actions/checkout@")
    )
    assert checkout["with"]["ref"] == "${{ github.event.repository.default_branch }}"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Have this checkout as it is on the branch main of a repository, and a loss on topic."""
    source, remote = tmp_path / "source", tmp_path / "remote.git"
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=CHECKOUT)
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file() and not name.startswith("results/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, source / name)
    git("init", "--quiet", "--initial-branch=main", source)
    git("add", "--all", cwd=source)
    git("commit", "--quiet", "-m", "sound", cwd=source)
    git("clone", "--quiet", "--bare", source, remote)
    program = source / "restore" / "__main__.py"
    text = program.read_text(encoding="utf-8")
    assert text.count("    raise SystemExit(main())") == 1
    lines = "\n    ".join(LOSS.strip().splitlines())
    program.write_text(text.replace("raise SystemExit(main())", lines))
    git("commit", "--quiet", "--all", "-m", "loses a row", cwd=source)
    git("push", "--quiet", remote, "HEAD:topic", cwd=source)
    work = tmp_path / "machine"
    work.mkdir()
    # Without the C part, which takes longer to build than all else.
    return Machine(remote, work, {"CC": "false", "CI": "true"})


def event(sha: str) -> str:
    """Return the event for a finished run of "ci" for the head of a fork's branch."""
    run = {
        "id": 77,
        "event": "pull_request",
        "html_url": "https://github.example/owner/project/actions/runs/77",
        "head_sha": sha,
        "head_branch": "topic",
        "head_repository": {"full_name": "fork/project"},
    }
    return json.dumps({"repository": {"full_name": "owner/project"}, "workflow_run": run})


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_loss_on_a_pull_request_is_commented_once(machine: Machine, github: Any) -> None:
    compared = Job("ci", "compare", machine, "topic").run(OPTIONS=COMPARE)
    assert not compared.is_ok, compared.output
    content = (machine.artifacts / "comparison" / "comparison.json").read_bytes()
    assert json.loads(content)["worse"] is True, compared.output
    summary = (machine.folder / "summary.md").read_text()
    assert "### Benchmark: worse" in summary

    sha = git("rev-parse", "topic", cwd=machine.remote)
    github.add_pull(5, sha)
    github.add_artifact(77, content)
    (machine.folder / "event.json").write_text(event(sha))
    where = {
        "GITHUB_EVENT_PATH": str(machine.folder / "event.json"),
        "GITHUB_API_URL": github.address,
    }
    for _ in range(2):
        posted = Job("comment", "comment", machine, "main").run(**where)
        assert posted.is_ok, posted.output
        assert "token-of-the-workflow" not in posted.output
    (body,) = github.bodies(5)
    assert "### Benchmark: worse" in body
    assert "**Less complete**" in body
    assert "`restore`, round 1: `wrong_result` with 1,999 rows, before `ok` with 2,000" in body
    assert f"`{sha[:12]}`" in body


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_sessions_of_two_commits_are_recorded_and_drawn(machine: Machine, tmp_path: Path) -> None:
    machines = []
    for ref, is_sound in (("main", True), ("topic", False)):
        own = Machine(machine.remote, tmp_path / f"of-{ref}", machine.env)
        own.folder.mkdir()
        measured = Job("history", "bench", own, ref).run(OPTIONS=BENCH)
        assert measured.is_ok is is_sound, measured.output
        machines.append(own)
    # Both are recorded at the same time.
    with ThreadPoolExecutor() as pool:
        recorded = list(pool.map(lambda own: Job("history", "record", own, "main").run(), machines))
    assert all(job.is_ok for job in recorded), recorded[0].output + recorded[1].output
    files = git("ls-tree", "--name-only", "benchmarks", cwd=machine.remote).split()
    assert len([name for name in files if name.endswith(".json")]) == 2
    judged = Job("history", "gate", machine, "main").run()
    assert not judged.is_ok
    assert re.search(r"restore +rows restored +less complete", judged.output), judged.output
    drawn = Job("history", "trends", machine, "main").run()
    assert drawn.is_ok, drawn.output
    page = (machine.folder / "pages" / "index.html").read_text(encoding="utf-8")
    for ref in ("main", "topic"):
        assert git("rev-parse", ref, cwd=machine.remote)[:8] in page
    assert "2 sessions" in page
    assert "fewer rows restored" in page
