"""What a damaged backup loses, on a real server: the damage, named and kept, and nothing else."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from restore.tests.support.target import COMPANIES, user, uuid

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from restore.tests.support.target import Target


BAD: dict[str, dict[str, Any]] = {
    "enum": {"mood": "none"},
    "date": {"seen": "2024-02-30T00:00:00.000Z"},
    "time lost": {"born": "2024-01-31T12:00:00.000Z"},
    "number": {"price": "abc"},
    "too large": {"number": 2**63},
    "domain": {"age": 0},
    "NUL": {"email": "a\0b"},
    "NUL in jsonb": {"data": {"a": "\0"}},
    "null": {"email": None},
    "missing": {"email": ...},
    "bytes": {"picture": "?"},
    "document": {"email": {"a": 1}},
    "orphan": {"companyId": 99},
    "orphan of itself": {"boss": uuid(999_999)},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "at"),
    # In what place matters to how it is isolated, not to what each level makes of it.
    [*((damage, 500) for damage in BAD), *itertools.product(("enum", "NUL", "orphan"), (0, 999))],
)
def test_one_bad_record_is_rejected_and_no_other(target: Target, damage: str, at: int) -> None:
    users = [user(n) for n in range(1000)]
    users[at] = user(at, **BAD[damage])
    target.write(company=[c | {"owner": None} for c in COMPANIES], User=users)
    target.restore(exit_code=3)
    assert target.rows('SELECT count(*) FROM "User"') == [(999,)]
    rejected = target.rejected("User")
    assert list(rejected) == [at]
    assert json.loads(rejected[at]["raw"]) == users[at]
    text = (target.backup / "User.json").read_bytes()
    offset, length = rejected[at]["offset"], rejected[at]["length"]
    assert json.loads(text[offset : offset + length]) == users[at]
    assert rejected[at]["message"]


def test_many_kinds_of_damage_in_one_batch(target: Target) -> None:
    users = [user(n) for n in range(1000)]
    bad = {100 + 3 * n: changes for n, changes in enumerate(BAD.values())}
    for at, changes in bad.items():
        users[at] = user(at, **changes)
    target.write(company=[c | {"owner": None} for c in COMPANIES], User=users)
    target.restore(exit_code=3)
    assert sorted(target.rejected("User")) == sorted(bad)
    assert target.counts()["User"]["loaded"] == 1000 - len(bad)


@pytest.mark.parametrize("distance", [1, 900])
def test_of_two_records_with_one_key_the_first_stays(target: Target, distance: int) -> None:
    companies = [{"id": n, "name": f"c{n}", "owner": None} for n in range(1000)]
    companies[10 + distance] |= {"id": 10}
    target.write(company=companies)
    target.restore("--chunk-bytes", "4096", exit_code=3)
    assert target.rows("SELECT name FROM company WHERE id = 10") == [("c10",)]
    assert target.rejected("company")[10 + distance]["kind"] == "duplicate"
    assert target.counts()["company"]["duplicates"] == 1


def test_children_of_a_rejected_parent_are_rejected_with_that_reason(target: Target) -> None:
    users = [user(n) for n in range(10)]
    users[4] |= {"mood": "none"}
    users[5] |= {"boss": uuid(4)}
    posts = [{"id": n + 1, "author": uuid(n % 10), "body": ""} for n in range(30)]
    target.write(company=COMPANIES, User=users, post=posts)
    target.restore(exit_code=3)
    assert sorted(target.rejected("User")) == [4, 5]
    assert sorted(target.rejected("post")) == [4, 5, 14, 15, 24, 25]
    assert target.rejected("User")[5]["constraint"] == "User_boss_fkey"
    assert "post_author_fkey" in target.rejected("post")[4]["message"]


def test_a_cut_off_file_gives_its_whole_records_and_says_so(target: Target) -> None:
    text = json.dumps([{"id": n, "name": "x"} for n in range(1000)])
    (target.backup / "company.json").write_text(text[: len(text) // 2])
    output = target.restore(exit_code=3)
    [(count,)] = target.rows("SELECT count(*) FROM company")
    assert count == text[: len(text) // 2].count("}")
    assert "company.json is truncated at byte" in output


@pytest.mark.parametrize("kind", ["array", "gz", "zst"])
def test_a_file_cut_between_records_is_no_success(target: Target, kind: str) -> None:
    text = json.dumps([{"id": n, "name": os.urandom(50).hex()} for n in range(5000)]).encode()
    name, data = "company.json", text[: text.index(b', {"id": 500')]
    if kind == "gz":
        name, data = "company.json.gz", gzip.compress(text)[:-20_000]
    if kind == "zst":
        name, data = "company.json.zst", zstd.compress(text)[:-20_000]
    (target.backup / name).write_bytes(data)
    output = target.restore(exit_code=3)
    assert "is truncated at byte" in output
    [(count,)] = target.rows("SELECT count(*) FROM company")
    assert count == (500 if kind == "array" else target.counts()["company"]["loaded"])


def test_names_of_a_hostile_backup_are_only_data(target: Target) -> None:
    name = 'x"; DROP TABLE post; -- 100%s'
    target.conn.execute(
        psycopg.sql.SQL("CREATE TABLE {} (id int PRIMARY KEY, {} text)").format(
            psycopg.sql.Identifier(name), psycopg.sql.Identifier("a\"b';-- %t")
        )
    )
    records = [{"id": n, "a\"b';-- %t": "'); DROP TABLE post; --"} for n in range(3)]
    (target.backup / f"{name}.json").write_text(json.dumps([*records, {"id": 0}]))
    target.restore(exit_code=3)
    assert target.rows("SELECT to_regclass('post') IS NOT NULL") == [(True,)]
    [rejects] = list(target.rejects.iterdir())
    assert rejects.parent == target.rejects
