"""Tables and keys that are inferred from backups, and how they are written."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from restore import RestoreError
from restore.infer.statements import script
from restore.tests.infer.folder import columns, inferred, keys, write

if TYPE_CHECKING:
    from pathlib import Path


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def test_keys_hold_by_name_and_by_content(tmp_path: Path) -> None:
    write(
        tmp_path,
        authors=[{"id": n * 3} for n in range(100)],
        posts=[{"_id": str(n), "author_id": n % 50 * 3, "parentId": None} for n in range(60)],
        comments=[{"comment_id": n, "postId": str(n), "authorId": 1} for n in range(60)],
        tags=[{"id": n % 9, "post_id": "61"} for n in range(10)],
    )
    found = inferred(tmp_path)
    assert keys(found) == [
        "authors.id",
        "comments.comment_id",
        "posts._id",
        "comments.postId -> posts._id",
        "posts.author_id -> authors.id",
    ]
    notes = {table.name.name: table.notes for table in found.tables}
    assert notes["comments"] == ["no foreign key of authorId to authors: 1 value not there"]
    assert notes["tags"] == ["no foreign key of post_id to posts: 1 value not there"]
    [key] = [key for table in found.tables for key in table.foreign_keys if key.column == "postId"]
    assert key.why == "60 of 60 values are in posts._id"


def test_a_table_may_refer_to_itself(tmp_path: Path) -> None:
    records = [{"id": n, "parent_id": n // 2 if n > 1 else None} for n in range(1, 9)]
    assert keys(inferred(write(tmp_path, t=records))) == ["t.id", "t.parent_id -> t.id"]


def test_uuids_in_one_key_alone_refer_to_it_whatever_their_name(tmp_path: Path) -> None:
    write(
        tmp_path,
        users=[{"id": uuid(n)} for n in range(9)],
        profiles=[{"id": uuid(n)} for n in range(5)],
        shops=[{"id": uuid(100), "ownerId": uuid(7)}, {"id": uuid(101), "ownerId": None}],
        cards=[{"id": uuid(102), "holderId": uuid(1)}],
    )
    found = inferred(tmp_path)
    assert [key for key in keys(found) if "->" in key] == ["shops.ownerId -> users.id"]
    [shops] = [table for table in found.tables if table.name.name == "shops"]
    assert shops.foreign_keys[0].why == "1 of 1 values are in users.id, and in no other key"


@pytest.mark.parametrize(
    "records",
    [
        [{"id": 1}, {"id": 1}],
        [{"id": 1}, {"id": None}],
        [{"id": 1}, {}],
        [{"id": 1}, {"id": "1"}],
        [{"id": 1}, {"id": 1.5}],
        [{"id": "a" * 601}],
        [{"id": "\0"}],
        [{"id": True}],
        [{"name": 1}],
    ],
)
def test_what_is_no_primary_key(records: list[Any], tmp_path: Path) -> None:
    assert keys(inferred(write(tmp_path, t=records))) == []


def test_large_tables_keys_are_proven_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restore.infer.keys.KeyStore.__init__.__defaults__", (1_000,))
    ids = [n * 7919 % 20_011 for n in range(20_000)]
    write(
        tmp_path,
        users=[{"id": f"u{n}"} for n in ids],
        posts=[{"id": n, "user_id": f"u{n}"} for n in reversed(ids)],
        likes=[{"id": n, "user_id": f"u{n}"} for n in [*ids, ids[0]]],
    )
    assert keys(inferred(tmp_path)) == [
        "posts.id",
        "users.id",
        "likes.user_id -> users.id",
        "posts.user_id -> users.id",
    ]


def test_the_script(tmp_path: Path) -> None:
    write(
        tmp_path,
        order=[{"id": 1, "user_id": 7, "select": "x", "a\nb": 1}],
        user=[{"id": 7, "total": 1.5}, {"id": 8}],
        empty=[],
    )
    assert (
        script(inferred(tmp_path), "shop\n; DROP TABLE x")
        == """\
-- Schema inferred from shop\\n; DROP TABLE x
SET client_encoding = 'UTF8';

-- empty.json: 0 records
-- no records, so no columns are known
CREATE TABLE "empty" (
);

-- order.json: 1 record
CREATE TABLE "order" (
    "id" integer NOT NULL, -- 1 integer, 1
    "user_id" integer NOT NULL, -- 1 integer, 7
    "select" text NOT NULL, -- 1 text of up to 1 characters
    "a
b" integer NOT NULL, -- 1 integer, 1
    PRIMARY KEY ("id") -- all 1 values differ
);

-- user.json: 2 records
CREATE TABLE "user" (
    "id" integer NOT NULL, -- 2 integers from 7 to 8
    "total" numeric, -- 1 number; null or absent in 1 of 2 records
    PRIMARY KEY ("id") -- all 2 values differ
);

-- order.user_id: 1 of 1 values are in user.id
ALTER TABLE "order" ADD FOREIGN KEY ("user_id") REFERENCES "user" ("id");
"""
    )


def test_the_script_names_the_options_that_a_restore_needs(tmp_path: Path) -> None:
    text = script(inferred(write(tmp_path, t=[{"xmin": 1, "": 2}])), "b")
    assert "-- Restore with --map-column t.xmin=xmin_ --map-column t.=field_\n" in text


def test_files_are_chosen_and_named_as_a_restore_does(tmp_path: Path) -> None:
    write(tmp_path, users=[{"id": 1}], posts=[{"id": 1}], alembic_version=[{"version_num": "1"}])
    write(tmp_path, manifest={"tool": "x"}, **{"public.tags": [{"id": 1}]})
    (tmp_path / ".hidden.json").write_text("[{}]")
    found = inferred(tmp_path, map={"users.json": "app.people"}, exclude=frozenset({"posts"}))
    assert [table.name for table in found.tables] == [("public", "tags"), ("app", "people")]
    assert sorted(found.left_out) == [
        ".hidden.json: hidden",
        "alembic_version.json: a migration tool's own table",
        "manifest.json: holds one object that describes the backup",
        "posts.json: excluded",
    ]
    assert 'CREATE TABLE "app"."people" (' in script(found, "b")


def test_part_files_of_one_table(tmp_path: Path) -> None:
    for part in (0, 1):
        records = [{"id": part * 10 + n} for n in range(10)]
        write(tmp_path, **{f"users-00000000000{part}": records})
    [table] = inferred(tmp_path).tables
    assert (table.name.name, table.records, table.key) == ("users", 20, "id")
    [table] = inferred(tmp_path, map={"users-*.json": "people"}).tables
    assert (table.name.name, table.records, table.key) == ("people", 20, "id")
    with pytest.raises(RestoreError, match="--map x: the backup has no file of that name"):
        inferred(tmp_path, map={"x": "people"})


def test_compressed_files_and_several_tables_in_one(tmp_path: Path) -> None:
    tables = {"users": [{"id": 1}, {"id": 2}], "posts": [{"id": 5, "userId": 2}]}
    path = tmp_path / "dump.json.gz"
    path.write_bytes(gzip.compress(json.dumps(tables).encode()))
    assert keys(inferred(path)) == ["users.id", "posts.id", "posts.userId -> users.id"]


def test_damage_is_left_out_and_named(tmp_path: Path) -> None:
    write(tmp_path, t='[{"id": 1, "v": 1},\n{"id": x},\n{"id": 3, "v": 2},\n{"id": 4')
    [table] = inferred(tmp_path).tables
    assert (table.records, table.unreadable) == (2, 2)
    assert table.notes == [
        "2 pieces are damaged and will be rejected",
        "the file is truncated",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "a list whose items are numbers, not objects"),
        ("[{}, {}]", "a list of empty objects"),
        ("<html></html>", "an HTML or XML page"),
        ("id,name\n1,x\n", "CSV"),
        (
            json.dumps([{f"k{n}": n} for n in range(1_601)]),
            "more than 1,600 different fields",
        ),
    ],
)
def test_what_holds_no_records_is_refused(text: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, t=text)
    with pytest.raises(RestoreError, match=message) as caught:
        inferred(tmp_path)
    assert caught.value.exit_code == 2


def test_a_name_that_no_table_can_have_is_refused(tmp_path: Path) -> None:
    write(tmp_path, **{"t" * 64: [{"id": 1}]})
    with pytest.raises(RestoreError, match=r"name it with --map t+=TABLE"):
        inferred(tmp_path)


@pytest.mark.parametrize(
    "record", [{"id": 1, "staff": [{"n": 1}]}, {"error": "unauthorized"}, {"-Nx1": {"id": 1}}, {}]
)
def test_one_object_is_a_record_only_if_it_is_named(record: Any, tmp_path: Path) -> None:
    write(tmp_path, company=record, users=[{"id": 1}])
    with pytest.raises(RestoreError, match=r"one object, .* with --map company.json=company, or"):
        inferred(tmp_path)


def test_one_object_is_a_record_with_its_lists(tmp_path: Path) -> None:
    write(tmp_path, company={"id": 1, "staff": [{"n": 1}]}, users=[{"id": 1}])
    found = inferred(tmp_path, map={"company.json": "company"})
    assert columns(found, "company") == {
        "id": "integer NOT NULL",
        "staff": "jsonb NOT NULL",
    }
