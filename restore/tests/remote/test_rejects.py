"""Rejects and reports in a store: written locally, uploaded once, at the end."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from restore.tests.support import command
from restore.tests.support.target import user

if TYPE_CHECKING:
    from restore.tests.support.object_store import Bucket, Request
    from restore.tests.support.target import Target


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, in which rejects are kept until they are uploaded."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(target: Target, records: int = 20) -> None:
    """Write a backup of which one record is refused."""
    users = [user(number, companyId=None) for number in range(records)]
    target.write(User=[*users, user(records, companyId=None, mood="none")])


def mood(line: bytes) -> str:
    """Return a field of the record on a reject file's line."""
    raw = json.loads(line)["raw"]
    found: str = (json.loads(raw) if isinstance(raw, str) else raw)["mood"]
    return found


def run(target: Target, *options: str, exit_code: int) -> str:
    done = command.run(str(target.backup), "--dsn", target.dsn, *options)
    assert done.exit_code == exit_code, done.output + done.errors
    assert "Traceback" not in done.errors
    return done.output + done.errors


def test_rejects_and_report_are_uploaded(target: Target, bucket: Bucket, folder: Path) -> None:
    write(target)
    places = ("--rejects", f"{bucket.url}/bad", "--report", f"{bucket.url}/out/report.json")
    said = run(target, *places, exit_code=3)
    assert f"the rejects are in {bucket.url}/bad" in said
    assert bucket.keys() == ["bad/User.jsonl", "out/report.json"]
    [line] = bucket.get("bad/User.jsonl").splitlines()
    assert mood(line) == "none"
    report = json.loads(bucket.get("out/report.json"))
    assert report["rejects"] == f"{bucket.url}/bad"
    assert report["tables"][0]["rejects"] == f"{bucket.url}/bad/User.jsonl"
    assert not list(folder.rglob("*.jsonl"))
    puts = [r.path for r in bucket.proxy.requests if r.method == "PUT"]
    assert len(puts) == 2


def test_a_page_shows_uploaded_rejects(target: Target, bucket: Bucket) -> None:
    write(target)
    run(target, "--rejects", f"{bucket.url}/bad", "--report", f"{bucket.url}/a.html", exit_code=3)
    assert b"invalid input value for enum mood" in bucket.get("a.html")


def test_nothing_is_uploaded_if_nothing_is_rejected(target: Target, bucket: Bucket) -> None:
    target.write(User=[user(1, companyId=None)])
    run(target, "--rejects", f"{bucket.url}/bad", exit_code=0)
    assert bucket.keys() == []


def test_rejects_of_another_restore_stay(target: Target, bucket: Bucket) -> None:
    write(target)
    bucket.put("bad/old.jsonl", b"{}\n")
    said = run(target, "--rejects", f"{bucket.url}/bad", exit_code=2)
    assert "it holds those of another restore" in said
    assert target.rows('SELECT count(*) FROM "User"') == [(0,)]


def test_a_bucket_that_is_not_there_is_said_before_the_restore(
    target: Target, bucket: Bucket
) -> None:
    write(target)
    for option in ("--rejects", "--report"):
        said = run(target, option, "s3://no-such-bucket-here/x.json", exit_code=2)
        assert "there is no bucket s3://no-such-bucket-here" in said


def test_rejects_are_kept_if_the_store_refuses_them(
    target: Target, bucket: Bucket, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    write(target)
    bucket.proxy.fault = lambda request: 403 if request.method == "PUT" else None
    places = ("--rejects", f"{bucket.url}/bad", "--report", f"{bucket.url}/report.json")
    said = run(target, *places, exit_code=1)
    [kept] = folder.rglob("*.jsonl")
    assert mood(kept.read_bytes()) == "none"
    assert f"the rejects are kept in {kept.parent.relative_to(folder)}" in said
    [report] = [word for word in said.split() if word.endswith("/report.json")][-1:]
    assert json.loads(Path(report).read_bytes())["upload_error"]
    assert target.rows('SELECT count(*) FROM "User"') == [(20,)]


def test_a_resumed_restore_uploads_the_rejects_of_both(target: Target, bucket: Bucket) -> None:
    records = 20_000
    users = [user(number, companyId=None) for number in range(records)]
    users[5]["mood"] = users[-5]["mood"] = "none"
    bucket.put("shop/User.json", json.dumps(users).encode())
    target.backup = f"{bucket.url}/shop"  # type: ignore[assignment] # what the command is given

    def far_in(request: Request) -> int | None:
        first = request.range.removeprefix("bytes=").partition("-")[0]
        return 503 if request.is_read and int(first) >= 4_000_000 else None

    bucket.proxy.fault = far_in
    options = ("--jobs", "1", "--rejects", f"{bucket.url}/bad")
    run(target, *options, exit_code=1)
    assert bucket.keys() == ["shop/User.json"]
    bucket.proxy.fault = lambda _: None
    run(target, *options, "--resume", exit_code=3)
    assert [json.loads(line)["ordinal"] for line in bucket.get("bad/User.jsonl").splitlines()] == [
        5,
        records - 5,
    ]


def test_rejects_in_a_store_are_not_retried(target: Target, bucket: Bucket) -> None:
    done = command.run("retry", f"{bucket.url}/bad", "--dsn", target.dsn)
    assert done.exit_code == 2
    assert "copy them to a local folder" in done.errors
