r"""Item 1: NUL. JSON may hold ``\u0000`` in any string; PostgreSQL's text and jsonb may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from restore.tests.support.cells import READ, Refused, check

if TYPE_CHECKING:
    from restore.tests.support.target import Target

NUL = Refused()
IN_JSONB = Refused(sqlstate="22P05")  # untranslatable_character


@pytest.mark.slow
def test_nul_keeps_out_its_own_record_alone(target: Target) -> None:
    check(
        target,
        {
            "text": [
                ('"before"', "before"),
                (r'"a\u0000b"', NUL),
                (r'"\u0000"', NUL),
                (r'"a\\u0000b"', r"a\u0000b"),  # a backslash and some letters, no NUL
                ('"after"', "after"),
            ],
            "varchar(10)": [(r'"\u0000"', NUL), ('"x"', "x")],
            "char(3)": [(r'"a\u0000"', NUL), ('"x"', "x")],
            "jsonb": [
                (r'{"a": "\u0000"}', IN_JSONB),
                (r'{"a\u0000": 1}', IN_JSONB),
                (r'["a", ["b\u0000"]]', IN_JSONB),
                (r'"\u0000"', IN_JSONB),
                (r'{"a": "\\u0000"}', r'{"a": "\\u0000"}'),
                ('{"a": 1}', '{"a": 1}'),
            ],
            # json keeps the text, and the escape in it is only text.
            "json": [(r'{"a": "\u0000"}', r'{"a": "\u0000"}')],
            "text[]": [(r'["a", "b\u0000c"]', NUL), ('["a", "b"]', "{a,b}")],
            "jsonb[]": [(r'[{"a": "\u0000"}]', IN_JSONB), ('[{"a": 1}]', r'{"{\"a\": 1}"}')],
        },
    )


@pytest.mark.slow
def test_a_bare_nul_byte_is_no_json(target: Target) -> None:
    bare = Refused(levels=READ)
    check(
        target,
        {
            "text": [('"x"', "x"), (b'"a\0b"', bare), ('"y"', "y")],
            "jsonb": [('"x"', '"x"'), (b'{"a": "\0"}', bare), ("[]", "[]")],
        },
    )


def test_nul_in_the_name_of_a_field_is_an_unknown_field(target: Target) -> None:
    target.conn.execute("CREATE TABLE n (id int PRIMARY KEY, v text)")
    target.write_raw({"n": ['{"id": 1, "v": "x"}', r'{"id": 2, "v\u0000": 1}', '{"id": 3}']})
    target.restore()
    assert target.rows("SELECT id, v FROM n ORDER BY id") == [(1, "x"), (2, None), (3, None)]
    assert target.counts()["n"]["unknown_fields"] == {"v\0": 1}
