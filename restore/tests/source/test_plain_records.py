"""Plain records are told from exports by a file's first bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from restore.source.export import PLAIN, is_of
from restore.source.formats.registry import FORMATS
from restore.source.plain_records import is_plain
from restore.source.table_file import TableFile
from restore.tests.formats.test_cases import CASES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "start",
    [
        '[{"id": 1, "name": "a"}, {"id": 2}]',
        '[\n  {\n    "id": 1\n  }\n]',
        '{"id": 1, "tags": ["a"]}\n{"id": 2, "tags": []}\n',
        '[{"id": 1, "text": "a \\"quoted\\" word"}]',
        '[{"id": 1, "before": null, "after": {"a": 1}, "attributes": {"b": 2}}, {"id": 2}]',
    ],
)
def test_plain_records(start: str) -> None:
    assert is_plain(start.encode())


@pytest.mark.parametrize(
    "start",
    [
        "",
        "[]",
        "{}",
        '{"id": 1}',
        '{"users": [{"id": 1}]}',
        '[{"id": 1}, /* a comment */ {"id": 2}]',
        '[{"id": 1,}, {"id": 2,}]',
        "[{id: 1}, {id: 2}]",
        '[{"id": 1, "name": "cut off',
        '[{"id": 1}, 2]',
        '[{"id": {"N": "1"}}, {"id": {"N": "2"}}]',
        '[{"id": 1, "posts": [{"id": 2}]}]',
        '{"op": "r", "before": null, "after": {"id": 1}, "source": {}}\n{"op": "r"}',
        '{"id": 1, "text": "a\\\\nb"}\n{"id": 2}',
    ],
)
def test_what_may_be_something_else(start: str) -> None:
    assert not is_plain(start.encode())


def test_no_export_is_taken_for_plain_records() -> None:
    files = [path for path in CASES.rglob("files/**/*") if path.is_file()]
    plain = exports = 0
    for path in files:
        file = TableFile(path, path.stem, None)
        start = file.first_bytes()
        found = next((each.name for each in FORMATS if is_of(each, file, start)), PLAIN)
        plain += is_plain(start)
        exports += found != PLAIN
        assert not is_plain(start) or found == PLAIN, (path, found)
    assert plain > len(files) // 10
    assert exports > len(files) // 10


def test_records_with_a_field_of_some_export_are_looked_at(tmp_path: Path) -> None:
    records = [{"model": "shop.user", "pk": 1, "fields": {"name": "a"}}]
    path = tmp_path / "users.json"
    path.write_text(json.dumps(records))
    assert not is_plain(TableFile(path, "users", None).first_bytes())
