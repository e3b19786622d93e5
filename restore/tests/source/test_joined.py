"""JSON text sequences (RFC 7464), and files that were joined with their byte order marks."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from restore.tests.support.target import Target

BOM = b"\xef\xbb\xbf"
RECORDS: list[dict[str, Any]] = [{"id": n, "v": f"\ufeff{n}\x1e"} for n in range(500)]
TEXTS = [json.dumps(record, ensure_ascii=n % 2 == 0).encode() for n, record in enumerate(RECORDS)]
OPTIONS = {True: (), False: ("--chunk-bytes", "1024")}


@pytest.fixture
def table(target: Target) -> Target:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    return target


def stored(target: Target) -> list[int]:
    rows = target.rows("SELECT id, v FROM t ORDER BY id")
    assert [v for _, v in rows] == [RECORDS[n]["v"] for n, _ in rows]
    return [n for n, _ in rows]


SEQUENCES = {
    "as RFC 7464 says": b"".join(b"\x1e%b\n" % text for text in TEXTS),
    "without line ends": b"".join(b"\x1e%b" % text for text in TEXTS),
    "separated twice": b"".join(b"\x1e\x1e%b\r\n" % text for text in TEXTS),
    "behind a mark": BOM + b"\n" + b"".join(b"\x1e%b\n" % text for text in TEXTS),
    "pretty": b"".join(b"\x1e" + json.dumps(r, indent=2).encode() + b"\n" for r in RECORDS),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "name"),
    [
        *((form, "t.json-seq") for form in SEQUENCES),
        *(("as RFC 7464 says", name) for name in ("t.json", "t.jsonl", "t.json-seq.gz")),
    ],
)
def test_a_sequence_is_restored(*, table: Target, form: str, name: str, in_c: bool) -> None:
    data = SEQUENCES[form]
    (table.backup / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    table.restore(*OPTIONS[in_c])
    assert stored(table) == list(range(500))


def test_a_record_that_is_cut_off_costs_no_other_one(*, table: Target, in_c: bool) -> None:
    torn = [*TEXTS[:9], TEXTS[9][:-4], *TEXTS[10:]]
    (table.backup / "t.json-seq").write_bytes(b"".join(b"\x1e%b" % text for text in torn))
    table.restore(*OPTIONS[in_c], exit_code=3)
    assert stored(table) == [n for n in range(500) if n != 9]
    assert list(table.rejected("t")) == [9]


JOINED = {
    "arrays": BOM + b"[%b]" % b",".join(TEXTS[:250]) + BOM + b"[%b]" % b",".join(TEXTS[250:]),
    "arrays of lines": b"".join(
        BOM + b"[\n  %b\n]\n" % b",\n  ".join(part) for part in (TEXTS[:9], TEXTS[9:])
    ),
    "arrays and an empty one": b"".join(
        BOM + b"[%b]\r\n" % b",".join(part) for part in (TEXTS[:9], [], TEXTS[9:])
    ),
    "lines": BOM + b"\n".join(TEXTS[:250]) + b"\n" + BOM + b"\n".join(TEXTS[250:]) + b"\n",
    "lines without a last line end": BOM + b"\n".join(TEXTS[:9]) + BOM + b"\n".join(TEXTS[9:]),
    "a mark before each line": b"".join(b"%b%b\n" % (BOM, text) for text in TEXTS),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "name"), [*((form, "t.json") for form in JOINED), ("lines", "t.jsonl")]
)
def test_joined_files_are_restored_without_their_marks(
    *, table: Target, form: str, name: str, in_c: bool
) -> None:
    (table.backup / name).write_bytes(JOINED[form])
    table.restore(*OPTIONS[in_c])
    assert stored(table) == list(range(500))


def test_damage_before_a_mark_costs_no_other_record(table: Target) -> None:
    lines = [*TEXTS[:9], TEXTS[9][:-4], BOM + TEXTS[10], *TEXTS[11:]]
    (table.backup / "t.jsonl").write_bytes(b"\n".join(lines))
    table.restore(exit_code=3)
    assert stored(table) == [n for n in range(500) if n != 9]
