"""Values of Django's fields for PostgreSQL, as their dumps hold them."""

from __future__ import annotations

import json

import msgspec
import pytest

from restore.source.formats.django_values import reader_of


def read(kind: str, value: object) -> object:
    reader = reader_of(kind)
    assert reader is not None
    return json.loads(bytes(reader(msgspec.Raw(json.dumps(value).encode()))))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("_text", '["a,b", "", null]', ["a,b", "", None]),
        ("_int4", '["1", "2"]', ["1", "2"]),
        ("_int4", '["[\\"1\\", \\"2\\"]", null]', [["1", "2"], None]),
        ("_text", '["[\\"1\\"]"]', '["[\\"1\\"]"]'),  # a list, or a text that looks like one
        ("_text", "{a,b}", "{a,b}"),
        ("_text", ["a"], ["a"]),
        ("int4range", '{"bounds": "[)", "lower": "1", "upper": null}', '["1",)'),
        ("tstzrange", '{"bounds": "(]", "lower": null, "upper": "a\\"b"}', '(,"a\\"b"]'),
        ("int4range", '{"empty": true}', "empty"),
        ("int4range", "[1,2)", "[1,2)"),
        ("hstore", '{"a": "1", "b\\"": null}', '"a"=>"1","b\\""=>NULL'),
        ("hstore", '"a"=>"1"', '"a"=>"1"'),
    ],
)
def test_what_is_json_in_a_string_is_read(kind: str, value: object, expected: object) -> None:
    assert read(kind, value) == expected


@pytest.mark.parametrize("kind", ["text", "jsonb", "integer", "int4multirange"])
def test_other_values_stay(kind: str) -> None:
    assert reader_of(kind) is None
