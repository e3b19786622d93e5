"""Django's dumpdata: models to tables, keys, foreign keys, join tables."""

from __future__ import annotations

import io
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from restore.source.formats.django import FORMAT
from restore.source.formats.format import FormatError
from restore.tests.formats.reading import found_in
from restore.tests.formats.tables import rows, table

CASES = Path(__file__).parent / "cases"
BLOG = {
    "blog_author": table("id", "bio", "uid", "user_id"),
    "blog_post": table("id", "title", "meta", "price", "author_id", "parent_id"),
    "blog_post_tags": table("id", "post_id", "tag_id"),
    "blog_tag": table("id", "name"),
}
POST = b"""[
{
  "model": "blog.post",
  "pk": 1,
  "fields": {
    "author": 7,
    "parent": null,
    "title": "x\\ny",
    "price": 1.000000000000000000001,
    "meta": [
      1
    ],
    "tags": [
      1,
      2
    ],
    "odd": [3]
  }
}
]
"""
ROWS = [
    (
        "blog_post",
        {
            "id": 1,
            "author_id": 7,
            "parent_id": None,
            "title": "x\ny",
            "price": Decimal("1.000000000000000000001"),
            "meta": [1],
            "odd": [3],
        },
    ),
    ("blog_post_tags", {"post_id": 1, "tag_id": 1}),
    ("blog_post_tags", {"post_id": 1, "tag_id": 2}),
]


def record(fields: bytes, model: bytes = b"blog.post", pk: bytes = b'"pk": 1, ') -> bytes:
    return b'{"model": "%b", %b"fields": %b}\n' % (model, pk, fields)


def test_fields_go_to_columns_and_lists_to_join_tables() -> None:
    assert FORMAT.detect(POST)
    assert rows(FORMAT, POST, BLOG) == ROWS
    assert {one.offset for one in found_in(FORMAT, POST, BLOG)} == {POST.index(b"{")}


def test_each_list_may_be_a_join_table_until_the_tables_are_known() -> None:
    listed = [one.table for one in FORMAT.records(io.BytesIO(POST), None)]

    assert listed == ["blog_post", "blog_post_meta", "blog_post_tags", "blog_post_odd"]


@pytest.mark.parametrize(
    ("columns", "own", "other"),
    [
        (("id", "from_post_id", "to_post_id"), "from_post_id", "to_post_id"),
        (("id", "tag_id", "post_id"), "post_id", "tag_id"),
        (("id", "a", "b"), "a", "b"),
    ],
)
def test_a_join_table_has_a_column_for_each_side(
    columns: tuple[str, ...], own: str, other: str
) -> None:
    tables = BLOG | {"blog_post_tags": table(*columns)}

    assert rows(FORMAT, record(b'{"tags": [5]}'), tables)[1:] == [
        ("blog_post_tags", {own: 1, other: 5})
    ]


def test_a_table_with_columns_of_its_own_is_no_join_table() -> None:
    tables = BLOG | {"blog_post_tags": table("id", "post_id", "tag_id", "since")}

    assert rows(FORMAT, record(b'{"tags": [5]}'), tables) == [("blog_post", {"id": 1, "tags": [5]})]


def test_the_key_is_the_primary_key_whatever_its_name() -> None:
    line = record(b'{"serves": true}', b"blog.bar")

    child = {"blog_bar": table("place_ptr_id", "serves", key=("place_ptr_id",))}
    assert rows(FORMAT, line, child) == [("blog_bar", {"place_ptr_id": 1, "serves": True})]
    assert rows(FORMAT, line, {"blog_bar": table("id", "serves", key=())})[0][1]["id"] == 1
    two = {"blog_bar": table("a", "b", "serves", key=("a", "b"))}
    line = record(b'{"serves": true}', b"blog.bar", b'"pk": ["x", 2], ')
    assert rows(FORMAT, line, two) == [("blog_bar", {"a": "x", "b": 2, "serves": True})]


def test_long_names_are_cut_as_django_cuts_them() -> None:
    model = b"warehouse.averyveryverylongmodelnamethatgoesonandonandonforeverandever"
    # As truncate_name of django.db.backends.utils returns it for 63 characters.
    expected = "warehouse_averyveryverylongmodelnamethatgoesonandonandonfore45e"

    assert found_in(FORMAT, record(b"{}", model), {})[0].table == expected


@pytest.mark.parametrize(
    "line",
    [
        record(b'{"title": "x"}', pk=b""),
        record(b'{"author": ["ann"]}'),
        record(b'{"tags": [["red"]]}'),
    ],
)
def test_natural_keys_are_refused(line: bytes) -> None:
    assert FORMAT.detect(line)
    with pytest.raises(FormatError, match="without --natural-primary and --natural-foreign"):
        list(FORMAT.records(io.BytesIO(line), BLOG))


def test_a_damaged_record_is_passed_on() -> None:
    lines = record(b'{"name": "a"}', b"blog.tag"), record(b"{,}"), record(b'{"title": "b"}')

    first, damaged, last = found_in(FORMAT, b"".join(lines), BLOG)

    assert (first.table, last.table) == ("blog_tag", "blog_post")
    assert (damaged.table, damaged.data, damaged.offset) == (None, lines[1].strip(), len(lines[0]))


def test_a_dump_that_is_cut_off_says_so_after_its_whole_records() -> None:
    text = (CASES / "django-dumpdata" / "files" / "dump.json").read_bytes()
    reading = FORMAT.records(io.BytesIO(text[:500]), BLOG)

    assert [one.table for one in islice(reading, 3)] == ["blog_tag", "blog_tag", "blog_author"]
    with pytest.raises(FormatError, match="truncated"):
        list(reading)


@pytest.mark.parametrize("name", ["dumpdata", "dumpdata-jsonl", "dumpdata-tag"])
def test_it_is_recognised(name: str) -> None:
    (path,) = (CASES / f"django-{name}" / "files").iterdir()

    assert FORMAT.detect(path.read_bytes())


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (POST[:60], True),
        (b'[{"fields": {"a": 1}, "pk": 1, "model": "blog.tag"}]', True),
        (b"", False),
        (b"[]", False),
        (b"[1]", False),
        (b'{"model": "blog.tag"', False),
        (b'{"model": "blog.tag", "fields": 1}', False),
        (b'{"model": "a car", "pk": 1, "fields": {}}', False),
        (b'{"id": 1, "model": "blog.tag", "pk": 1, "fields": {}}', False),
        (b'{"id": 1, "data": {"model": "blog.tag", "pk": 1, "fields": {}}}', False),
    ],
)
def test_only_its_own_records_are_recognised(start: bytes, *, expected: bool) -> None:
    assert FORMAT.detect(start) is expected
