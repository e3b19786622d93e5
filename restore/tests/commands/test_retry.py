"""Rejects that were repaired go in, and what is refused again stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from restore import BackupError, Options, Report
from restore.commands.retry import retry
from restore.tests.support.target import COMPANIES, user, uuid

if TYPE_CHECKING:
    from restore.tests.support.target import Target


def again(target: Target, path: Path | None = None, **options: Any) -> Report:
    report = retry(path or target.rejects, Options(backup=Path(), dsn=target.dsn, **options))
    for table in report.tables:
        assert table.read == table.loaded + table.duplicates + table.rejected
    return report


def repair(target: Target, table: str, ordinal: int, raw: Any) -> None:
    path = target.rejects / f"{table}.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line["ordinal"] == ordinal:
            line["raw"] = raw
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def rejected(target: Target) -> Target:
    """Ten users of whom one is bad, another has it as boss, and three posts hang on them."""
    users = [user(n) for n in range(10)]
    users[4] |= {"mood": "none"}
    users[5] |= {"boss": uuid(4)}
    users[6] |= {"age": -1}
    posts = [{"id": n + 1, "author": uuid(n), "body": ""} for n in range(10)]
    target.write(company=[c | {"owner": None} for c in COMPANIES], User=users, post=posts)
    target.restore(exit_code=3)
    assert sorted(target.rejected("User")) == [4, 5, 6]
    assert sorted(target.rejected("post")) == [4, 5, 6]
    return target


def test_what_was_repaired_goes_in_and_takes_what_waited_for_it_along(rejected: Target) -> None:
    repair(rejected, "User", 4, json.dumps(user(4)))
    report = again(rejected)
    counts = {t.table: (t.read, t.loaded, t.rejected) for t in report.tables}
    assert counts == {"User": (3, 2, 1), "post": (3, 2, 1)}
    assert sorted(rejected.rejected("User")) == [6]
    assert sorted(rejected.rejected("post")) == [6]
    assert not report.complete
    repair(rejected, "User", 6, user(6))  # the object itself, which is easier to write
    report = again(rejected)
    assert report.complete
    assert list(rejected.rejects.iterdir()) == []
    assert rejected.rows('SELECT count(*), (SELECT count(*) FROM post) FROM "User"') == [(10, 10)]
    assert rejected.rows("SELECT nextval('post_id_seq') > 10") == [(True,)]


def test_nothing_repaired_nothing_changes(rejected: Target) -> None:
    before = {p.name: p.read_bytes() for p in rejected.rejects.iterdir()}
    report = again(rejected)
    assert [(t.loaded, t.rejected) for t in report.tables] == [(0, 3), (0, 3)]
    assert {p.name for p in rejected.rejects.iterdir()} == before.keys()
    assert [line["sqlstate"] for line in rejected.rejected("post").values()] == ["23503"] * 3


def test_a_torn_record_is_tried_again_as_what_it_was_repaired_to(target: Target) -> None:
    text = json.dumps([{"id": n, "name": "x", "owner": None} for n in range(9)], indent=0)
    (target.backup / "company.json").write_text(text.replace('"id": 4', '"id": nope'))
    target.restore(exit_code=3)
    again(target)
    assert target.rejected("company")[4]["level"] == "read"
    repair(target, "company", 4, '{"id": 4, "name": "whole"}')
    assert again(target).complete
    assert target.rows("SELECT name FROM company WHERE id = 4") == [("whole",)]


def test_a_stop_keeps_what_is_undecided(rejected: Target) -> None:
    repair(rejected, "User", 6, json.dumps(user(6)))
    repair(rejected, "User", 4, '{"id": "no uuid"}')
    report = again(rejected, on_error="stop")
    assert report.error is not None
    assert sorted(rejected.rejected("User")) == [4, 5, 6]
    assert rejected.rows('SELECT count(*) FROM "User"') == [(7,)]
    repair(rejected, "User", 4, json.dumps(user(4)))
    assert again(rejected).complete
    assert rejected.rows('SELECT count(*) FROM "User"') == [(10,)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json\n", "line 1"),
        ('{"table": "company", "raw": "{}"}\n{"table": "post", "raw": "{}"}\n', "line 2"),
        ("", "no rejects in"),
    ],
)
def test_reject_files_that_make_no_sense_are_left_alone(
    target: Target, text: str, message: str
) -> None:
    target.rejects.mkdir()
    path = target.rejects / "company.jsonl"
    path.write_text(text)
    with pytest.raises(BackupError, match=message):
        again(target)
    assert path.read_text() == text
    with pytest.raises(BackupError, match="no rejects at"):
        again(target, target.rejects / "nowhere")
