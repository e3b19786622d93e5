"""Documents of JSON:API, and of Strapi, which are alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from restore.source.formats import jsonapi, strapi
from restore.source.formats.format import FormatError
from restore.tests.formats.reading import found_in
from restore.tests.formats.tables import rows, table

if TYPE_CHECKING:
    from restore.source.formats.format import Format

REST, EXPORT, LINKS = strapi.FORMATS
POST = {
    "type": "posts",
    "id": "1",
    "attributes": {"title": "a\nb", "created-at": "2024-01-31T12:34:56Z", "big": 12345678901234567},
    "relationships": {
        "author": {"data": {"type": "people", "id": "9"}, "links": {"self": "/x"}},
        "parent-post": {"data": None},
        "tags": {"data": [{"type": "tags", "id": "3"}]},
        "comments": {"links": {"related": "/posts/1/comments"}},
    },
    "links": {"self": "/posts/1"},
}
ANN = {"type": "people", "id": "9", "attributes": {"name": "Ann"}}
ROW = {
    "id": "1",
    "title": "a\nb",
    "created_at": "2024-01-31T12:34:56Z",
    "big": 12345678901234567,
    "author_id": "9",
    "parent_post_id": None,
    "tags": [{"type": "tags", "id": "3"}],
}
DOCUMENT = {"jsonapi": {"version": "1.0"}, "data": [POST], "included": [ANN], "links": {}}
ENTITY = {
    "id": 1,
    "attributes": {
        "title": "a",
        "author": {"data": {"id": 9, "attributes": {"name": "Ann"}}},
        "parent": {"data": None},
        "seo": {"data": 1, "more": 2},
    },
}


@pytest.mark.parametrize("indent", [None, 2])
def test_attributes_and_relationships_are_columns(indent: int | None) -> None:
    data = json.dumps(DOCUMENT, indent=indent).encode()

    assert jsonapi.FORMAT.detect(data)
    assert rows(jsonapi.FORMAT, data) == [("posts", ROW), ("people", {"id": "9", "name": "Ann"})]


def test_one_resource_and_pages_are_read() -> None:
    data = json.dumps({"data": ANN}).encode()

    assert jsonapi.FORMAT.detect(data)
    assert rows(jsonapi.FORMAT, data + b"\n" + data) == [("people", {"id": "9", "name": "Ann"})] * 2


def test_the_id_is_the_key_whatever_its_name() -> None:
    data = json.dumps({"data": ANN}).encode()
    tables = {"people": table("person_id", "name", key=("person_id",))}

    assert rows(jsonapi.FORMAT, data, tables) == [("people", {"person_id": "9", "name": "Ann"})]


def test_a_damaged_resource_is_passed_on() -> None:
    data = json.dumps(DOCUMENT).encode().replace(b'"a\\nb"', b"oops")

    damaged, whole = found_in(jsonapi.FORMAT, data)

    assert (damaged.table, b"oops" in damaged.data, whole.table) == (None, True, "people")


def test_entities_of_strapi_are_rows() -> None:
    data = json.dumps({"data": [ENTITY], "meta": {"pagination": {"page": 1}}}, indent=1).encode()

    assert REST.detect(data)
    assert rows(REST, data) == [
        (
            None,
            {
                "id": 1,
                "title": "a",
                "author_id": 9,
                "parent_id": None,
                "seo": {"data": 1, "more": 2},
            },
        )
    ]
    kept = rows(REST, data, {"posts": table("id", "title", "parent")})
    assert kept[0][1]["parent"] == {"data": None}


def test_entities_of_an_export_of_strapi_are_of_their_tables() -> None:
    types = ("api::blog-post.blog-post", "plugin::users-permissions.user", "admin::user")
    data = b"".join(b'{"type":"%b","id":1,"data":{"a":1.10}}\n' % t.encode() for t in types)

    assert EXPORT.detect(data)
    assert [one.table for one in found_in(EXPORT, data)] == ["blog_post", "up_users", "admin_users"]
    assert found_in(EXPORT, data)[0].data == b'{"id":1,"a":1.10}'


def test_relations_of_an_export_of_strapi_are_refused() -> None:
    data = b'{"kind":"relation.basic","relation":"manyToOne","left":{"ref":1},"right":{"ref":2}}\n'

    assert LINKS.detect(data)
    with pytest.raises(FormatError, match="strapi import"):
        found_in(LINKS, data)


@pytest.mark.parametrize("reader", [jsonapi.FORMAT, REST])
def test_a_file_that_is_cut_off_says_so(reader: Format) -> None:
    document = DOCUMENT if reader is jsonapi.FORMAT else {"data": [ENTITY]}
    data = json.dumps(document).encode()

    assert reader.detect(data[:150])
    with pytest.raises(FormatError, match=r"truncated|damaged"):
        found_in(reader, data[:-5])


@pytest.mark.parametrize("reader", [jsonapi.FORMAT, *strapi.FORMATS])
@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"[]",
        b'{"data": []}',
        b'{"data": [{"id": 1, "name": "x"}], "meta": {}}',
        b'{"data": [{"id": 1, "type": "a"}], "meta": {}}',
        b'{"id": 1, "data": {"id": 2, "type": "x", "attributes": {}}}',
        b'{"type": "post", "id": 1, "data": {"a": 1}}',
        b'{"users": [{"id": 1, "type": "a", "attributes": {}}]}',
    ],
)
def test_other_objects_are_not_theirs(reader: Format, start: bytes) -> None:
    assert not reader.detect(start)
