"""Pages of APIs as they answer: counts, links, GraphQL's connections, HAL, OData."""

from __future__ import annotations

import json

import pytest

from restore.source.formats.format import FormatError
from restore.source.formats.pages import FORMAT
from restore.tests.formats.reading import found_in
from restore.tests.formats.tables import rows, table

ONE, TWO = {"id": 1, "name": "a\nb"}, {"id": 2, "name": None}
BOTH = [ONE, TWO]
DJANGO = {"count": 2, "next": None, "previous": None, "results": BOTH}
LARAVEL = {
    "current_page": 1,
    "data": BOTH,
    "first_page_url": "http://x/users?page=1",
    "links": [{"url": None, "label": "&laquo; Previous", "active": False}],
    "per_page": 15,
    "total": 2,
}
RELAY = {
    "data": {
        "users": {
            "edges": [{"cursor": "YQ==", "node": ONE}, {"cursor": "Yg==", "node": TWO}],
            "pageInfo": {"hasNextPage": False},
        }
    }
}
HAL = {
    "_embedded": {"users": [ONE | {"_links": {"self": {"href": "/1"}}}, TWO]},
    "_links": {"self": {"href": "/users"}},
    "page": {"size": 20, "totalElements": 2},
}
ODATA = {
    "@odata.context": "http://x/$metadata#Users",
    "value": [{"@odata.etag": "W/1"} | ONE, TWO],
    "@odata.count": 2,
}
PAGES = {
    "Django REST framework": (DJANGO, None),
    "Laravel": (LARAVEL, None),
    "Stripe": ({"object": "list", "url": "/v1/users", "has_more": False, "data": BOTH}, None),
    "Spring": ({"content": BOTH, "pageable": {}, "totalPages": 1, "last": True}, None),
    "Payload": ({"docs": BOTH, "totalDocs": 2, "hasPrevPage": False, "nextPage": None}, None),
    "PocketBase": ({"page": 1, "perPage": 30, "totalItems": 2, "items": BOTH}, None),
    "Cloudflare D1": ([{"results": BOTH, "success": True, "meta": {"duration": 0.1}}], None),
    "Hydra": ({"@context": "/x", "@id": "/u", "hydra:member": BOTH, "hydra:totalItems": 2}, None),
    "OData": (ODATA, None),
    "HAL": (HAL, "users"),
    "Relay": (RELAY, "users"),
    "a connection with nodes": ({"data": {"me": {"users": {"nodes": BOTH}}}}, "users"),
    "edges alone": ({"edges": [{"node": ONE}, {"node": TWO}], "pageInfo": {}}, None),
}
EACH = pytest.mark.parametrize(("page", "name"), PAGES.values(), ids=PAGES)


@EACH
@pytest.mark.parametrize("indent", [None, 2])
def test_the_rows_are_those_of_the_list(page: object, name: str | None, indent: int | None) -> None:
    data = json.dumps(page, indent=indent).encode()

    assert FORMAT.detect(data)
    assert rows(FORMAT, data) == [(name, ONE), (name, TWO)]


@EACH
def test_pages_follow_each_other(page: object, name: str | None) -> None:
    data = json.dumps(page).encode()

    assert rows(FORMAT, data + b"\n" + data) == [(name, ONE), (name, TWO)] * 2
    assert (
        rows(FORMAT, b"[" + data + b"," + data + b"]" if data[:1] == b"{" else data + data)
        == [
            (name, ONE),
            (name, TWO),
        ]
        * 2
    )


def test_each_connection_is_of_its_table() -> None:
    data = {"data": {"users": {"nodes": [ONE]}, "posts": {"edges": [{"node": TWO}]}}}

    assert rows(FORMAT, json.dumps(data).encode()) == [("users", ONE), ("posts", TWO)]


def test_links_stay_if_the_table_has_such_a_column() -> None:
    data = json.dumps(HAL).encode()

    assert "_links" in rows(FORMAT, data, {"users": table("id", "name", "_links")})[0][1]


def test_offsets_are_those_of_the_records() -> None:
    data = json.dumps(RELAY).encode()

    assert [data[one.offset :].startswith(one.data) for one in found_in(FORMAT, data)] == [True] * 2


def test_the_start_of_a_page_is_enough() -> None:
    assert FORMAT.detect(json.dumps(DJANGO).encode()[:60])
    assert FORMAT.detect(json.dumps(RELAY).encode()[:80])


def test_a_page_that_is_cut_off_says_so() -> None:
    with pytest.raises(FormatError, match=r"truncated|damaged"):
        found_in(FORMAT, json.dumps(RELAY).encode()[:-30])


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"[]",
        b'{"users": [{"id": 1}], "posts": [{"id": 2}]}',
        b'{"data": [{"id": 1}]}',
        b'{"data": {"users": [{"id": 1}]}}',
        b'{"id": 1, "page": 3, "items": [{"sku": "a"}]}',
        b'[{"id": 1, "data": [{"a": 1}], "status": "new"}]',
        b'{"results": [], "count": 0}',
        b'{"error": "not found", "status": 404}',
        b'{"data": {"a": {"b": 1}}, "meta": {}}',
        b'{"items": [1, 2], "count": 2}',
    ],
)
def test_other_files_are_no_pages(start: bytes) -> None:
    assert not FORMAT.detect(start)


FOLLOWED: dict[str, dict[str, object]] = {
    "Django REST framework": DJANGO | {"next": "http://x/users?page=2"},
    "Laravel": LARAVEL | {"last_page": 2},
    "Laravel, simple": LARAVEL | {"next_page_url": "http://x/users?page=2"},
    "Stripe": {"object": "list", "url": "/v1/users", "has_more": True, "data": BOTH},
    "Spring": {"content": BOTH, "pageable": {}, "totalPages": 2, "last": False},
    "Payload": {"docs": BOTH, "totalDocs": 4, "hasNextPage": True, "nextPage": 2},
    "OData": ODATA | {"@odata.nextLink": "http://x/Users?$skip=2"},
    "HAL": HAL | {"_links": {"next": {"href": "/users?page=2"}}},
    "links in a list": {"items": BOTH, "links": [{"rel": "next", "href": "/users?page=2"}]},
    "GitHub": {"total_count": 2, "incomplete_results": True, "items": BOTH},
    "Slack": {"ok": True, "items": BOTH, "pagination": {"next_cursor": "dXNlcjo="}},
    "Relay": {
        "data": {"users": {"edges": [{"node": ONE}], "pageInfo": {"hasNextPage": True}}},
    },
}


@pytest.mark.parametrize("page", FOLLOWED.values(), ids=FOLLOWED)
def test_a_page_that_others_follow_is_not_all(page: object) -> None:
    data = json.dumps(page).encode()
    assert FORMAT.detect(data)
    with pytest.raises(FormatError, match="a page that others follow"):
        found_in(FORMAT, data)


def test_pages_up_to_the_last_are_all() -> None:
    first = json.dumps(FOLLOWED["Stripe"]).encode()
    last = json.dumps(FOLLOWED["Stripe"] | {"has_more": False}).encode()
    assert rows(FORMAT, first + b"\n" + last) == [(None, ONE), (None, TWO)] * 2
