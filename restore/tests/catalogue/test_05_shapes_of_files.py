"""Item 5: very large and deep records, files in one line and pretty ones, BOM, CRLF, empty ones."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from restore.tests.support.cells import ALONE, READ

if TYPE_CHECKING:
    from restore.tests.support.target import Target

RECORDS: list[dict[str, Any]] = [
    {"id": n, "v": f'"{n}" }} , {{ \r\n é', "d": {"a": [n, [], {}], "b": {"c": None}}}
    for n in range(500)
]


def pretty(records: list[dict[str, Any]], indent: int | str) -> str:
    return json.dumps(records, indent=indent, ensure_ascii=False)


FORMS: dict[str, bytes] = {
    "one line": json.dumps(RECORDS).encode(),
    "compact": json.dumps(RECORDS, separators=(",", ":"), ensure_ascii=False).encode(),
    "lines": ("[\n" + ",\n".join(map(json.dumps, RECORDS)) + "\n]\n").encode(),
    "commas first": ("[\n  " + "\n, ".join(map(json.dumps, RECORDS)) + "\n]").encode(),
    "pretty": pretty(RECORDS, 2).encode(),
    "tabs": pretty(RECORDS, "\t").encode(),
    "BOM": b"\xef\xbb\xbf" + json.dumps(RECORDS).encode(),
    "CRLF": pretty(RECORDS, 2).replace("\n", "\r\n").encode(),
    "CRLF lines": ("[\r\n" + ",\r\n".join(map(json.dumps, RECORDS)) + "\r\n]\r\n").encode(),
    "white space": b" \n\t\r\n" + pretty(RECORDS, 0).encode() + b"\n \n\n",
}
LINES: dict[str, bytes] = {
    "json lines": "\n".join(map(json.dumps, RECORDS)).encode(),
    "line end at the end": "".join(json.dumps(record) + "\n" for record in RECORDS).encode(),
    "CRLF": "\r\n".join(map(json.dumps, RECORDS)).encode() + b"\r\n",
    "BOM": b"\xef\xbb\xbf" + "\n".join(map(json.dumps, RECORDS)).encode(),
    "empty lines": "\n\n\n".join(map(json.dumps, RECORDS)).encode() + b"\n\n",
}


@pytest.mark.parametrize("chunk_bytes", [1024, 1 << 20])
def test_every_shape_of_file_holds_the_same_records(target: Target, chunk_bytes: int) -> None:
    files = [("json", data) for data in FORMS.values()] + [
        ("jsonl", data) for data in LINES.values()
    ]
    for number, (suffix, data) in enumerate(files):
        target.conn.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, v text, d jsonb)")
        (target.backup / f"t{number}.{suffix}").write_bytes(data)
    target.restore("--chunk-bytes", str(chunk_bytes))
    expected = [(record["id"], record["v"], record["d"]) for record in RECORDS]
    for number, name in enumerate([*FORMS, *LINES]):
        assert target.rows(f"SELECT * FROM t{number} ORDER BY id") == expected, name


def test_files_without_records(target: Target) -> None:
    contents = {
        "json": ["[]", "[ ]", "\ufeff[]", "[\r\n]\r\n", "", "\n"],
        "jsonl": ["", "\n", "\r\n\r\n"],
    }
    number = 0
    for suffix, texts in contents.items():
        for text in texts:
            target.conn.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY)")
            (target.backup / f"t{number}.{suffix}").write_text(text, encoding="utf-8", newline="")
            number += 1
    target.restore()
    counts = target.counts()
    assert len(counts) == number
    assert {(table["read"], table["cut_off"]) for table in counts.values()} == {(0, False)}


@pytest.mark.slow
@pytest.mark.parametrize("column", ["text", "jsonb"])
def test_a_record_of_50_mb(target: Target, column: str) -> None:
    target.conn.execute(f"CREATE TABLE t (id int PRIMARY KEY, v {column})")
    large = "0123456789abcdef" * (50 * 65_536)
    value = large if column == "text" else {"a": [large, None]}
    records = [
        {"id": n, "v": value if n == 50 else "x" if column == "text" else {}} for n in range(100)
    ]
    target.write(t=records)
    target.restore()
    field = "v" if column == "text" else "v->'a'->>0"
    assert target.rows(f"SELECT md5({field}) FROM t WHERE id = 50") == [
        (hashlib.md5(large.encode(), usedforsecurity=False).hexdigest(),)
    ]


def test_deep_nesting(target: Target) -> None:
    """What is as deep as documents get is restored; what is too deep for a parser is kept."""
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v jsonb)")
    deep = ["[" * depth + "]" * depth for depth in (50, 200, 500)]
    objects = '{"a":' * 200 + "1" + "}" * 200
    too_deep = "[" * 100_000 + "]" * 100_000
    values = ["1", *deep, objects, too_deep, "2"]
    target.write_raw({"t": [f'{{"id": {n}, "v": {value}}}' for n, value in enumerate(values)]})
    target.restore(exit_code=3)
    assert dict(target.rows("SELECT id, replace(v::text, ' ', '') FROM t")) == {
        n: value for n, value in enumerate(values) if value != too_deep
    }
    [(ordinal, reject)] = target.refused("t").items()
    assert ordinal == values.index(too_deep)
    assert reject["level"] in READ | ALONE
