"""Answers of Airtable's API."""

from __future__ import annotations

import pytest

from restore.source.formats.airtable import FORMAT
from restore.source.formats.format import FormatError
from restore.tests.formats.reading import found_in
from restore.tests.formats.tables import rows, table

PAGE = b"""{"records": [
  {"id": "rec560UJdUtocSouk", "createdTime": "2022-09-12T21:03:48.000Z",
   "fields": {"name": "a\\nb"}},
  {"id": "rec3lbPRG4aVqkeOQ", "createdTime": "2022-09-12T21:03:49.000Z", "fields": {"id": 7}}
]}"""
FOLLOWED = PAGE[:-1] + b', "offset": "itr/rec"}'


def test_fields_are_columns_and_what_airtable_adds_if_there_are_such() -> None:
    tables = {"t": table("airtable_id", "name", "created_at")}

    assert FORMAT.detect(PAGE)
    assert [found.data for found in found_in(FORMAT, PAGE, tables)] == [
        b'{"name":"a\\nb","airtable_id":"rec560UJdUtocSouk","created_at":"2022-09-12T21:03:48.000Z"}',
        b'{"id":7,"airtable_id":"rec3lbPRG4aVqkeOQ","created_at":"2022-09-12T21:03:49.000Z"}',
    ]


def test_fields_have_the_first_word_and_pages_follow_each_other() -> None:
    assert [row.get("id") for _, row in rows(FORMAT, FOLLOWED + PAGE)] == [
        "rec560UJdUtocSouk",
        7,
    ] * 2


def test_a_page_that_others_follow_is_not_all() -> None:
    with pytest.raises(FormatError, match="a page that others follow"):
        found_in(FORMAT, FOLLOWED)


def test_a_damaged_record_is_passed_on() -> None:
    assert b"oops" in found_in(FORMAT, PAGE.replace(b'"a\\nb"', b"oops"))[0].data


def test_a_page_that_is_cut_off_says_so() -> None:
    assert FORMAT.detect(PAGE[:120])
    with pytest.raises(FormatError, match=r"truncated|damaged"):
        found_in(FORMAT, PAGE[:-12])


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b'{"records": []}',
        b'{"records": [{"id": 1, "createdTime": "x", "fields": {}}]}',
        b'{"records": [{"id": "rec560UJdUtocSouk", "name": "x"}]}',
        b'[{"id": "rec560UJdUtocSouk", "createdTime": "x", "fields": {}}]',
    ],
)
def test_other_pages_are_not_its(start: bytes) -> None:
    assert not FORMAT.detect(start)
