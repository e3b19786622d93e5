"""Reject files are private, and on the disk before the database counts what is in them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from restore import LoadError, Options
from restore.commands import retry as module
from restore.journal.checkpoints import Checkpoints
from restore.rejects.writer import RejectFile
from restore.report.reasons import Reason
from restore.schedule import queue
from restore.schedule import scheduler as loading
from restore.source.records import RawRecord
from restore.tests.support import command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from restore.tests.support.target import Target

REASON = Reason(level="row", message="no")


@pytest.fixture(params=[0o000, 0o022, 0o077])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.slow
@pytest.mark.usefixtures("_umask")
def test_reject_files_are_for_their_owner_alone(target: Target) -> None:
    target.conn.execute('ALTER TABLE company DROP COLUMN owner; DROP TABLE post, "User"')
    target.write(company=[{"id": 1, "name": "n"}, {"id": "x", "name": "n"}])
    target.rejects = target.rejects / "deeper" / "still"
    report = target.load()
    assert report.lost == 1
    file = target.rejects / "company.jsonl"
    assert mode(file) == 0o600
    assert [mode(folder) for folder in (target.rejects, *target.rejects.parents[:2])] == [0o700] * 3
    command.run("retry", str(target.rejects), "--dsn", target.dsn)
    assert mode(file) == 0o600


def test_files_of_shards_are_too(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o755)
    before = os.umask(0)
    try:
        with RejectFile(tmp_path / "there", "s", "t", "t.jsonl.shard0") as file:
            file.add(RawRecord(b"{}", 0, 0), REASON)
            assert mode(file.path) == 0o600
    finally:
        os.umask(before)
    assert mode(tmp_path / "there") == 0o755


def test_rejects_are_flushed_before_the_commit_that_counts_them(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for what was written, and not at all if nothing was."""
    steps: list[str] = []
    fsync, note = os.fsync, Checkpoints.note

    def flushed(descriptor: int) -> None:
        steps.append("flush")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", flushed)

    def recorded(self: Checkpoints, *words: Any, **named: Any) -> None:
        rejects = self._rejects
        assert isinstance(rejects, RejectFile)
        assert rejects._is_synced or rejects._file is not None
        note(self, *words, **named)
        assert rejects._is_synced
        steps.append(f"note {self._report.rejected}")

    monkeypatch.setattr(Checkpoints, "note", recorded)
    target.conn.execute("CREATE TABLE q (id int NOT NULL)")
    target.write(q=[{"id": n if n != 7 else None} for n in range(100)])
    report = target.load(batch_size=10, keep_indexes=True)
    assert report.lost == 1
    first = steps.index("note 1")
    assert "flush" in steps[:first]
    last = len(steps) - steps[::-1].index("note 1")
    assert "flush" not in steps[first:last]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-40] + bytes(40), "last line has no end"),
        (
            lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2 - 1) + b"\n",
            "is no",
        ),
        (lambda data: data[:-2] + b"xx", "last line has no end"),
        (lambda data: b"\xff" * (len(data) - 1) + b"\n", "line 1 is no reject"),
        (lambda data: data[:-1], "holds less"),
    ],
)
def test_a_reject_file_that_a_power_loss_has_damaged(
    target: Target, damage: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_WORTH_BYTES", 1)
    monkeypatch.setattr(queue, "_WORTH_A_CONNECTION_BYTES", 1 << 30)
    target.conn.execute("CREATE TABLE q (id int NOT NULL)")
    target.write(q=[{"id": n if n != 7 else None} for n in range(1, 100)])
    target.kill("commands.job.RestoreJob._recreate", "--rejects", str(target.rejects))
    [file] = target.rejects.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    line = target.restore("--resume", exit_code=1)
    assert "cannot resume with the reject file" in line
    assert said in line
    assert "start over with --clean" in line


def test_a_line_that_its_writer_did_not_end_is_none(tmp_path: Path) -> None:
    with RejectFile(tmp_path, "s", "t", "part") as part:
        part.add(RawRecord(b"{}", 0, 0), REASON)
    with part.path.open("ab") as file:
        file.write(b'{"table": "t", "sch')
    with RejectFile(tmp_path, "s", "t") as whole:
        whole.append_from(part.path, 5)
    [line] = whole.path.read_bytes().splitlines()
    assert b'"ordinal":5' in line
    with pytest.raises(LoadError, match="its last line has no end"):
        RejectFile(tmp_path, "s", "t", "part", keeping=part.path.stat().st_size)


def test_no_record_leaves_its_file_before_its_row_is_on_the_disk(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(_: Any) -> None:
        raise psycopg.OperationalError("the server is gone")

    target.conn.execute("CREATE TABLE q (id int PRIMARY KEY)")
    target.write(q=[{"id": 1}, {"id": 1}])
    assert target.load().lost == 1
    target.conn.execute("DELETE FROM q")
    file = target.rejects / "q.jsonl"
    before = file.read_bytes()
    options = Options(backup=target.rejects, dsn=target.dsn, append=True, on_conflict="skip")
    with monkeypatch.context() as patch:
        patch.setattr(module, "flush", lose)
        report = module.retry(target.rejects, options)
    assert report.error is not None
    assert [path.read_bytes() for path in target.rejects.iterdir()] == [before]
    assert module.retry(target.rejects, options).error is None
    assert not file.exists()


def test_what_is_undone_leaves_neither_a_line_nor_an_ordinal(tmp_path: Path) -> None:
    reason = Reason(level="row", message="no")
    with RejectFile(tmp_path, "public", "t") as rejects:
        rejects.add(RawRecord(b"{}", 0, 5), reason)
        before = rejects.path.read_bytes()

        def fail() -> None:
            with rejects.rollback_on_error():
                for ordinal in (5, 6):
                    rejects.add(RawRecord(b"{}", ordinal, ordinal), reason)
                raise LoadError

        with pytest.raises(LoadError):
            fail()
        assert rejects.path.read_bytes() == before
        assert [ordinal in rejects.ordinals for ordinal in (5, 6)] == [True, False]
        with rejects.rollback_on_error():
            rejects.add(RawRecord(b"{}", 6, 6), reason)
        assert 6 in rejects.ordinals
    assert len(rejects.path.read_bytes().splitlines()) == 2
