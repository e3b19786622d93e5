"""A file that changes while it is read ends no restore as if nothing had been lost."""

from __future__ import annotations

import gzip
import itertools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from restore.report.events import BackupFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from restore import Report
    from restore.tests.support.target import Target

LINES = [json.dumps({"id": n, "name": "x" * 20}) for n in range(2000)]
DATA = {
    "company.jsonl": "".join(line + "\n" for line in LINES),
    "company.json": "[" + ",\n".join(LINES) + "]",
    "all.json": '{"company": [' + ",".join(LINES) + '], "post": []}',
}


def halve(path: Path) -> None:
    """Cut a file between two records."""
    data = path.read_bytes()
    os.truncate(path, data.index(b"}", len(data) // 2) + 2)


def grow(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write('{"id": 5000, "name": "new"}\n')


def replace(path: Path) -> None:
    new = path.with_name(".new")
    new.write_bytes(path.read_bytes().replace(b"x", b"y"))
    new.replace(path)


def load(target: Target, path: Path, change: Callable[[Path], Any], **options: Any) -> Report:
    """Restore a file that changes before its load begins."""

    def watch(event: Any) -> None:
        if isinstance(event, BackupFound):
            change(path)

    return target.load(watch=watch, **options)


CHANGES = (halve, grow, replace, os.unlink)
OPTIONS: tuple[dict[str, Any], ...] = ({"jobs": 2}, {"atomic": True}, {"dry_run": True})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "change"),
    [
        *itertools.product(DATA, [{}], CHANGES),
        *itertools.product(["company.jsonl"], OPTIONS, CHANGES),
    ],
    ids=lambda one: getattr(one, "__name__", None) or str(one),
)
def test_a_change_is_no_success(
    target: Target, name: str, change: Callable[[Path], Any], options: dict[str, Any]
) -> None:
    path = target.backup / name
    path.write_text(DATA[name], encoding="utf-8")
    before = path.stat().st_size
    report = load(target, path, change, **options)
    assert not report.complete
    [table] = [table for table in report.tables if table.table == "company"]
    if change is os.unlink:
        assert report.error is not None
        assert "cannot read" in report.error
        return
    assert table.cut_off
    [line] = [warning for warning in table.warnings if "changed" in warning]
    after = path.stat().st_size
    assert line == (
        f"{table.file} changed while it was read: {before:,} bytes at the start, {after:,} at the"
        " end"
    )
    assert table.loaded <= len(LINES)
    if change is not halve:
        assert table.loaded == len(LINES)


def test_a_compressed_file_that_is_replaced_is_no_success(target: Target) -> None:
    path = target.backup / "company.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(LINES).encode()))
    less = gzip.compress("\n".join(LINES[:1000]).encode())
    report = load(target, path, lambda path: path.write_bytes(less))
    assert [(t.loaded, t.cut_off) for t in report.tables] == [(1000, True)]


def test_a_file_that_was_only_read_by_others_has_not_changed(target: Target) -> None:
    path = target.backup / "company.jsonl"
    path.write_text(DATA["company.jsonl"])
    report = load(target, path, Path.read_bytes)
    assert report.complete


@pytest.mark.slow
def test_a_table_in_shards_that_shrinks_is_no_success(target: Target) -> None:
    """A shard behind the new end of a file reads nothing, and is no proof of anything."""
    records = "".join(json.dumps({"id": n, "name": "x" * 200}) + "\n" for n in range(200_000))
    path = target.backup / "company.jsonl"
    path.write_text(records)
    report = load(target, path, halve, jobs=2)
    assert not report.complete
    [table] = report.tables
    assert table.cut_off
    assert 0 < table.loaded < 200_000
