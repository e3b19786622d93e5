"""Item 20: jsonb holding backslashes and quotes; JSON null against SQL NULL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from restore.tests.support.cells import READ, Refused, check

if TYPE_CHECKING:
    from restore.tests.support.target import Target

# Texts that go wrong where a document is quoted once too often or once too little.
TRICKY = [
    *('"', "\\", '\\"', "\\\\", '\\\\"', "'", "''", "\\'", "\\n", "\n", "\t", "\r\n", "\\t"),
    *("\\.", "\\N", "NULL", "null", "{}", "{a,b}", "[1]", '{"a": 1}', '"x"', "$1", "%s", "%(a)s"),
    *(
        "\x7f",
        "\x01",
        "\u2028",
        "é",
        "e\u0301",
        "\U0001f468\u200d\U0001f469",
        "</script>",
        "\\u0041",
    ),
    *("", " ", "  leading and trailing  ", "a\\", "\\\\x41", "E'\\x'", ";--", "/*", "\ufeff"),
]


def test_tricky_texts_everywhere(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, t text, b jsonb, j json, a text[])")
    records = [
        {"id": n, "t": text, "b": {text: [text, {"k": text}]}, "j": {text: text}, "a": [text, None]}
        for n, text in enumerate(TRICKY)
    ]
    target.write(t=records)
    target.restore()
    assert target.rows("SELECT id, t, b, j, a FROM t ORDER BY id") == [
        tuple(record.values()) for record in records
    ]


def test_tricky_texts_when_a_batch_must_be_taken_apart(target: Target) -> None:
    """The other levels write values in other ways; they must come to the same."""
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, t text, b jsonb, j json, a text[], n int)"
    )
    records = [
        {"id": str(n), "t": text, "b": {text: text}, "j": [text], "a": [text], "n": spelling}
        for n, (text, spelling) in enumerate(
            (text, spelling) for text in TRICKY for spelling in (1, 1.0, " 1 ", "one")
        )
    ]
    target.write(t=records)
    target.restore(exit_code=3)
    assert sorted(target.refused("t")) == list(range(3, len(records), 4))
    assert target.rows("SELECT id::text, t, b, j, a, n FROM t ORDER BY t.id") == [
        (*list(record.values())[:5], 1) for record in records if record["n"] != "one"
    ]


def test_documents_arrive_as_they_are(target: Target) -> None:
    deep = '{"a": ' * 60 + "[]" + "}" * 60
    huge = "1" + "0" * 400
    check(
        target,
        {
            "jsonb": [
                ("1.0", "1.0"),
                ("1.10", "1.10"),
                ("1e400", huge),
                ('{"n": 12345678901234567890.123456789012345678901234567890}',) * 2,
                ("9007199254740993", "9007199254740993"),
                ('"text"', '"text"'),
                # A document in a string stays a string.
                (r'"{\"a\": 1}"', r'"{\"a\": 1}"'),
                ('"null"', '"null"'),
                ('"[1]"', '"[1]"'),
                ("true", "true"),
                ('{"a": null}', '{"a": null}'),
                ("[null]", "[null]"),
                ("[]", "[]"),
                ("{}", "{}"),
                ('""', '""'),
                ('{"": ""}', '{"": ""}'),
                (deep, deep),
                ('{"b": 1, "a": 2, "b": 3}', '{"a": 2, "b": 3}'),
                (r'{"\u00e9": "\u2028\\"}', '{"é": "\u2028\\\\"}'),
                ('{"a":NaN}', Refused(levels=READ | {"row", "literal"})),
                ("null", None),
            ],
            # json keeps the text to the letter.
            "json": [
                ('{"b" :1,"a":2,  "b":[ ]}',) * 2,
                ("1.0", "1.0"),
                ("1e400", "1e400"),
                (r'"\u00e9\/"', r'"\u00e9\/"'),
                ("null", None),
            ],
            "jsonb[]": [
                ('[{"a": 1}, "x", 1.0, true, null]', r'{"{\"a\": 1}","\"x\"",1.0,true,NULL}'),
                (r'[{"a": "\"\\"}]', r'{"{\"a\": \"\\\"\\\\\"}"}'),
                ("[]", "{}"),
                ("null", None),
            ],
        },
    )


def test_arrays_that_are_members_of_a_jsonb_array_are_documents(target: Target) -> None:
    """row_to_json writes a jsonb[] of two lists as a list of lists; it has one dimension."""
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v jsonb[])")
    target.write(t=[{"id": 1, "v": [[1, 2], [3, 4]]}, {"id": 2, "v": [[1], [2, 3], {}]}])
    target.restore()
    assert target.rows("SELECT cardinality(v), v[1]::text, v[2]::text FROM t ORDER BY id") == [
        (2, "[1, 2]", "[3, 4]"),
        (3, "[1]", "[2, 3]"),
    ]


def test_json_null_is_sql_null_unless_the_column_forbids_it(target: Target) -> None:
    check(
        target,
        {
            "jsonb": [("null", None), ("[null]", "[null]")],
            "jsonb NOT NULL": [("null", "null"), ('{"a": 1}', '{"a": 1}')],
            "json NOT NULL": [("null", "null"), ("1", "1")],
            "jsonb DEFAULT '{}'": [("null", None)],
            "jsonb NOT NULL DEFAULT '{}'": [("null", "null")],
            "text": [("null", None), ('"null"', "null"), ('"NULL"', "NULL"), (r'"\\N"', r"\N")],
            "text NOT NULL": [("null", Refused(sqlstate="23502")), ('""', "")],
            "text[]": [("null", None), ("[null]", "{NULL}"), ('["null"]', '{"null"}')],
        },
    )


def test_a_field_that_is_missing_takes_the_default_and_null_does_not(target: Target) -> None:
    target.conn.execute(
        """CREATE TABLE d (id int PRIMARY KEY, a text DEFAULT 'x', b jsonb NOT NULL DEFAULT '{}',
        c jsonb DEFAULT '[]')"""
    )
    records = ({"id": 1}, {"id": 2, "a": None, "b": None, "c": None}, {"id": 3, "c": None})
    target.write_raw({"d": map(json.dumps, records)})
    target.restore()
    assert target.rows("SELECT a, b::text, c::text FROM d ORDER BY id") == [
        *(("x", "{}", "[]"), (None, "null", None), ("x", "{}", None))
    ]
