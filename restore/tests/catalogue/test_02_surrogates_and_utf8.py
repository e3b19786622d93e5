r"""Item 2: lone surrogates, which JavaScript writes as ``\ud800``, and bytes that are no UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restore.tests.support.cells import Refused, check

if TYPE_CHECKING:
    from restore.tests.support.target import Target

ANY = Refused(levels=frozenset({"read", "row", "literal"}))


def test_lone_surrogates(target: Target) -> None:
    check(
        target,
        {
            "text": [
                (r'"\ud83d\ude00"', "\U0001f600"),
                (r'"\ud83d"', ANY),
                (r'"\ude00"', ANY),
                (r'"\ude00\ud83d"', ANY),
                (r'"\ud83dx"', ANY),
                (r'"\\ud83d"', r"\ud83d"),
                ('"\U0001f600"', "\U0001f600"),
            ],
            "jsonb": [
                (r'{"a": "\ud83d\ude00"}', '{"a": "\U0001f600"}'),
                (r'{"a": "\ud83d"}', ANY),
                (r'{"\ude00": 1}', ANY),
                ('{"a": "\U0001f600"}', '{"a": "\U0001f600"}'),
            ],
            "text[]": [(r'["\ud83d"]', ANY), (r'["\ud83d\ude00"]', "{\U0001f600}")],
        },
    )


def test_bytes_that_are_no_utf8(target: Target) -> None:
    check(
        target,
        {
            kind: [
                ('"naïve"', shape.format("naïve")),
                (b'"na\xefve"', ANY),  # Latin-1
                (b'"\xff"', ANY),
                (b'"\xc0\xaf"', ANY),  # overlong
                (b'"\xed\xa0\xbd"', ANY),  # a surrogate in UTF-8
                (b'"\xf4\x90\x80\x80"', ANY),  # beyond Unicode
                (b'"cut \xe2\x82"', ANY),
                ('"€"', shape.format("€")),
            ]
            for kind, shape in (("text", "{}"), ("jsonb", '"{}"'))
        },
    )


def test_the_bytes_of_a_record_that_is_no_utf8_are_kept(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    bad = b'{"id": 2, "v": "caf\xe9"}'
    target.write_raw({"t": ['{"id": 1, "v": "x"}', bad, '{"id": 3, "v": "y"}']})
    target.restore(exit_code=3)
    [(ordinal, reject)] = target.refused("t").items()  # which compares the bytes
    assert ordinal == 1
    assert "raw" not in reject
    assert target.rows("SELECT v FROM t ORDER BY id") == [("x",), ("y",)]
