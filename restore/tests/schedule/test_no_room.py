"""Where there is no more room on the client, the restore stops, loses nothing, and can go on."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from restore.load.ladder import Ladder

if TYPE_CHECKING:
    from restore.tests.support.target import Target

pytest.importorskip("resource", reason="limits the size of files as POSIX does")

# The command, with files that may not grow over so many bytes: to a program, a disk that is full.
LIMITED = """
import resource, sys
from restore.schedule import scheduler
from restore.source import spool
most = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
spool._HELD_BYTES = int(sys.argv[2])
if spool._HELD_BYTES < 1 << 20:  # duplicates are looked for once all rows are in
    scheduler._WORTH_BYTES = 1_000
from restore.cli.main import main
sys.exit(main(sys.argv[3:]))
"""
COUNT = 600


def write(target: Target, every: int = 3) -> None:
    """Write records of which every third, or one of so many, cannot be restored."""
    target.conn.execute("CREATE TABLE thing (id int PRIMARY KEY, name text NOT NULL, more text)")
    records = [{"id": n, "name": "n" * 90, "more": ""} for n in range(COUNT)]
    for record in records[::every]:
        record |= {"name": None, "more": "m" * 5 * every * every}
    target.write(thing=records)


def limited(target: Target, most: int, held: int = 1 << 20) -> str:
    words = ["--dsn", target.dsn, "--rejects", str(target.rejects), "--jobs", "1"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(most), str(held), str(target.backup), *words],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def see_all(target: Target, every: int = 3) -> None:
    target.restore("--resume", exit_code=3)
    assert target.counts()["thing"]["loaded"] == COUNT - COUNT // every
    assert set(target.refused("thing")) == set(range(0, COUNT, every))


@pytest.mark.slow
def test_no_room_for_rejects(target: Target) -> None:
    write(target)
    said = limited(target, 30_000)
    assert "cannot write the reject file" in said
    assert "make room, or choose another folder with --rejects" in said
    assert "--resume" in said
    lines = [
        line
        for kept in target.rejects.iterdir()
        for line in kept.read_text(encoding="utf-8").splitlines()
    ]
    assert lines
    assert all(json.loads(line)["table"] == "thing" for line in lines)  # none is torn
    see_all(target)


@pytest.mark.slow
def test_no_room_for_duplicates(target: Target) -> None:
    target.conn.execute("CREATE TABLE thing (id int PRIMARY KEY, name text NOT NULL)")
    target.write(thing=[{"id": n // 2, "name": "n" * 90} for n in range(COUNT)])
    said = limited(target, 30_000, held=1_000)
    assert "cannot keep records in the temporary folder" in said
    target.restore("--resume", exit_code=3)
    counts = target.counts()["thing"]
    assert (counts["loaded"], counts["duplicates"]) == (COUNT // 2, COUNT // 2)


def test_no_memory(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    write(target)
    load, loaded = Ladder.load, []

    def greedy(ladder: Ladder, batch: Any, decided: int) -> None:
        loaded.append(batch)
        last = len(loaded) == 3
        load(ladder, bytes(1 << 62) if last else batch, decided)  # type: ignore[arg-type] # raises

    with monkeypatch.context() as patch:
        patch.setattr(Ladder, "load", greedy)
        report = target.load(jobs=1, chunk_bytes=4_096)
    assert report.error is not None
    assert "out of memory" in report.error
    assert "--resume" in " ".join(report.next_steps)
    see_all(target)
