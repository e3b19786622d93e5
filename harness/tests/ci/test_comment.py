"""One comment on each pull request: replaced in place, whatever the artifact holds."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from harness.ci import github as client
from harness.cli.app import main
from harness.report.comment import MARKER, MAX_BYTES, comment, read_comparison

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUN = 77
SHA = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "token-of-the-workflow"
WORSE = {
    "engine": "restore",
    "measure": "time",
    "before": 2.0,
    "after": 2.5,
    "ratio": 1.25,
    "low": 1.2,
    "high": 1.3,
    "rounds": 5,
    "p": 0.004,
    "limit": 0.05,
    "verdict": "higher",
}
SAME = {
    **WORSE,
    "measure": "peak RSS",
    "before": 5e7,
    "after": 5e7,
    "ratio": 1.0,
    "verdict": "same",
}
COMPARISON: dict[str, Any] = {
    "kind": "compare-commits",
    "schema": 1,
    "base": "aaaa1111",
    "head": "bbbb2222",
    "worse": True,
    "finished": True,
    "rounds": 10,
    "measures": [SAME, WORSE],
    "losses": [
        {
            "engine": "restore",
            "round": 2,
            "warmup": False,
            "before": {"status": "ok", "restored": 1000},
            "after": {"status": "wrong_result", "restored": 999},
            "detail": "users: one row is missing",
        }
    ],
    "not_compared": [],
    "warnings": [],
}


SOUND: dict[str, Any] = {"worse": False, "measures": [SAME], "losses": []}


def encoded(**fields: object) -> bytes:
    return json.dumps({**COMPARISON, **fields}).encode()


@pytest.fixture
def post(github: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return what runs the command for the event of a run that measured a pull request."""

    def run(sha: str = SHA, **fields: object) -> int:
        event = {
            "repository": {"full_name": "owner/project"},
            "workflow_run": {
                "id": RUN,
                "event": "pull_request",
                "html_url": "https://github.example/owner/project/actions/runs/77",
                "head_sha": sha,
                "head_branch": "topic",
                "head_repository": {"full_name": "fork/project"},
                "pull_requests": [],
                **fields,
            },
        }
        path = tmp_path / "event.json"
        path.write_text(json.dumps(event))
        return main(["pr-comment-post"])

    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    monkeypatch.setenv("GITHUB_API_URL", github.address)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    return run


def test_the_comment_has_the_verdict_of_each_measure() -> None:
    text = comment(read_comparison(encoded()))
    assert text.startswith(f"{MARKER}\n### Benchmark: worse\n")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows[0] == (
        "| `restore` | `time` | 2.00 s | 2.50 s | +25.0% | +20.0% to +30.0% | 0.004 | **worse** |"
    )
    assert rows[1].endswith("| 50.0 MB | 50.0 MB | +0.0% | +20.0% to +30.0% | 0.004 | same |")
    lost = "`restore`, round 2: `wrong_result` with 999 rows, before `ok` with 1,000 rows"
    assert f"{lost}: `users: one row is missing`" in text


@pytest.mark.parametrize(
    ("fields", "headline", "code"),
    [
        ({}, "worse", 4),
        ({"worse": False}, "worse", 4),
        (SOUND, "no regression found", 0),
        ({**SOUND, "finished": False}, "stopped before the end", 1),
        ({**SOUND, "not_compared": ["restore"]}, "not everything could be compared", 3),
        (
            {**SOUND, "measures": [{**WORSE, "verdict": "inconclusive"}]},
            "no regression found, but some measures are inconclusive",
            0,
        ),
    ],
    ids=str,
)
def test_the_command_writes_the_comment_and_exits_with_the_verdict(
    fields: dict[str, object], headline: str, code: int, tmp_path: Path
) -> None:
    (tmp_path / "comparison.json").write_bytes(encoded(**fields))
    out = tmp_path / "comment.md"
    assert main(["pr-comment", str(tmp_path / "comparison.json"), "--out", str(out)]) == code
    assert f"### Benchmark: {headline}\n" in out.read_text()


def test_a_pull_request_gets_one_comment_which_is_replaced(
    github: Any, post: Callable[..., int]
) -> None:
    github.add_pull(5, SHA)
    github.add_artifact(RUN, encoded())
    for number in range(150):
        github.add_comment(5, f"comment {number}", "somebody")
    github.add_comment(5, f"{MARKER} copied", "attacker")
    assert post() == 0
    (own,) = (body for body in github.bodies(5) if "### Benchmark: worse" in body)
    assert "`0123456789ab`" in own
    assert "[The run](https://github.example/owner/project/actions/runs/77)" in own
    github.add_artifact(RUN, encoded(**SOUND))
    assert post() == 0
    found = [body for body in github.bodies(5) if "### Benchmark" in body]
    assert len(found) == 1
    assert "no regression found" in found[0]
    assert github.bodies(5)[150] == f"{MARKER} copied"
    assert [method for method, _, _ in github.requests].count("POST") == 1
    assert [method for method, _, _ in github.requests].count("PATCH") == 1


def test_the_token_is_sent_to_the_api_alone(github: Any, post: Callable[..., int]) -> None:
    github.add_pull(5, SHA)
    github.add_artifact(RUN, encoded())
    assert post() == 0
    sent = {path.startswith("/storage/"): has_token for _, path, has_token in github.requests}
    assert sent == {True: False, False: True}


def test_the_pull_request_is_that_of_the_event(github: Any, post: Callable[..., int]) -> None:
    github.add_pull(4, SHA, owner="another")
    github.add_pull(5, "f" * 40)
    github.add_pull(6, SHA, branch="other")
    github.add_artifact(RUN, encoded(number=4, pull_request=4))
    assert post() == 0
    assert github.comments == {}
    github.add_pull(7, SHA)
    assert post() == 0
    assert list(github.comments) == [7]


def test_of_several_pull_requests_with_one_head_none_is_guessed(
    github: Any, post: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    github.add_pull(5, SHA)
    github.add_pull(6, SHA)
    assert post() == 1
    assert "#5, #6" in capsys.readouterr().err
    assert github.comments == {}


@pytest.mark.parametrize(
    ("content", "file"),
    [
        (b"", "comparison.json"),
        (b"{", "comparison.json"),
        (b"[" * 100_000, "comparison.json"),
        (b" " * (MAX_BYTES + 1), "comparison.json"),
        (b" " * 30_000_000, "comparison.json"),
        (encoded(), "../../comparison.json"),
        (encoded(measures=[{**WORSE, "verdict": "<b>"}]), "comparison.json"),
        (encoded(rounds=-1), "comparison.json"),
        (encoded(rounds=10**400), "comparison.json"),
        (encoded(kind="other"), "comparison.json"),
    ],
    ids=range(10),
)
def test_an_artifact_that_is_no_comparison_is_said_to_be_none(
    content: bytes, file: str, github: Any, post: Callable[..., int]
) -> None:
    github.add_pull(5, SHA)
    github.add_artifact(RUN, content, file=file)
    assert post() == 0
    (body,) = github.bodies(5)
    assert "not compared" in body
    assert len(body) < 500


def test_an_artifact_that_is_no_archive_or_too_large_is_said_to_be_none(
    github: Any, post: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    github.add_pull(5, SHA)
    number = github.add_artifact(RUN, encoded())
    github.archives[number] = b"PK no archive"
    assert post() == 0
    assert "cannot be read" in github.bodies(5)[0]
    monkeypatch.setattr(client, "MAX_ARTIFACT_BYTES", 100)
    github.add_artifact(RUN, encoded())
    assert post() == 0
    assert "cannot be read" in github.bodies(5)[0]


def test_a_run_without_an_artifact_replaces_what_was_said_of_another(
    github: Any, post: Callable[..., int]
) -> None:
    github.add_pull(5, SHA)
    github.add_comment(5, f"{MARKER}\nworse", "github-actions[bot]")
    assert post() == 0
    (body,) = github.bodies(5)
    assert "made no comparison" in body


def test_hostile_texts_stand_as_code() -> None:
    bad = "`</td>| @everyone #1 <img src=x> [a](https://evil.example) \n# big \u202e" + "x" * 250
    text = comment(
        read_comparison(
            encoded(
                base=bad,
                head=bad,
                measures=[{**WORSE, "engine": bad, "measure": bad, "before": 1e300, "p": 1e-300}]
                * 99,
                not_compared=[bad] * 99,
                warnings=[bad] * 99,
            )
        )
    )
    assert len(text) < 65_536
    outside = re.sub(r"`[^`\n]*`", "", text.removeprefix(MARKER))
    assert not re.search(r"[<>@\[\]`\\]|https?:|www\.|#\d|\u202e", outside)
    assert all(line.count("|") == 9 for line in text.splitlines() if line.startswith("| `"))
    assert "59 more measures are not shown." in text


def test_an_event_of_another_kind_is_refused(
    post: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert post(event="push") == 2
    assert "was for push" in capsys.readouterr().err


def test_a_refused_request_is_an_error_of_one_line(
    github: Any, post: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    github.refuse = 403
    assert post() == 1
    err = capsys.readouterr().err
    assert "403" in err
    assert TOKEN not in err
    assert err.count("\n") == 1


def test_an_api_that_is_no_web_server_is_refused(
    post: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "file:///etc")
    assert post() == 2
    assert "no address of a web server" in capsys.readouterr().err
