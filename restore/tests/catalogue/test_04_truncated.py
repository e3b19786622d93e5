"""Item 4: a truncated file. Every whole record before the cut survives, and the cut is told."""

from __future__ import annotations

import gzip
import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from restore.tests.support.target import Target

RECORDS = [{"id": n, "v": f"naïve {{ }} , [{n}]", "d": {"a": [1, {"b": '\\"'}]}} for n in range(40)]
TEXTS = [json.dumps(record, ensure_ascii=False) for record in RECORDS]


def cuts(start: str, between: str) -> list[tuple[bytes, int, bool]]:
    """Return the file cut at each byte of its 21st record and around it.

    Each with how many records are whole before the cut, and whether a part of one stands there.
    """
    before = (start + between.join(TEXTS[:20])).encode()
    record = TEXTS[20].encode()
    found = [(before, 20, False), (before + between.encode(), 20, False)]
    found += [
        (before + between.encode() + record[:size], 20, True) for size in range(1, len(record))
    ]
    found += [(before + between.encode() + record + more, 21, False) for more in (b"", b",", b" ")]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "form", [("[", ","), ("[\n", ",\n"), ("", "\n")], ids=["one line", "lines", "json lines"]
)
def test_a_cut_at_every_byte(target: Target, form: tuple[str, str]) -> None:
    start, between = form
    suffix = "json" if start else "jsonl"
    files = cuts(start, between)
    if not start:  # nothing tells that JSON Lines are cut between two records
        files = [(data, whole, torn) for data, whole, torn in files if torn]
    for number, (data, _, _) in enumerate(files):
        target.conn.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, v text, d jsonb)")
        (target.backup / f"t{number}.{suffix}").write_bytes(data)
    target.restore(exit_code=3)
    counts = target.counts()
    for number, (data, whole, torn) in enumerate(files):
        cut = data[-40:]
        told = counts[f"t{number}"]
        rejects = target.rejected(f"t{number}")
        assert told["loaded"] == whole, cut
        assert told["cut_off"], cut
        assert list(rejects) == ([whole] if torn else []), cut
        for reject in rejects.values():
            assert reject["level"] == "read", cut
            raw = data[reject["offset"] :].rstrip(b" ,")
            assert len(raw) == reject["length"], cut
            assert TEXTS[20].encode().startswith(raw), cut


def test_the_cut_is_named_with_its_offset(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v text, d jsonb)")
    text = ("[\n" + ",\n".join(TEXTS)).encode()[:-10]
    (target.backup / "t.json").write_bytes(text)
    output = target.restore(exit_code=3)
    assert f"t.json is truncated at byte {len(text):,}" in output


def test_a_file_that_ends_with_its_bracket(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY)")
    target.conn.execute("CREATE TABLE u (id int PRIMARY KEY)")
    (target.backup / "t.json").write_text("[")
    (target.backup / "u.json").write_text('[{"id": 1}')
    target.restore(exit_code=3)
    counts = target.counts()
    assert [counts[name]["cut_off"] for name in "tu"] == [True, True]
    assert [counts[name]["loaded"] for name in "tu"] == [0, 1]


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_compressed_file_gives_what_can_be_decompressed(target: Target, kind: str) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    records = [{"id": n, "v": os.urandom(60).hex()} for n in range(10_000)]
    text = json.dumps(records).encode()
    data = gzip.compress(text) if kind == "gz" else zstd.compress(text)
    (target.backup / f"t.json.{kind}").write_bytes(data[: len(data) // 2])
    target.restore(exit_code=3)
    told = target.counts()["t"]
    assert told["cut_off"]
    assert 2_000 < told["loaded"] < 8_000
    rows = target.rows("SELECT id, v FROM t ORDER BY id")
    assert rows == [(record["id"], record["v"]) for record in records[: len(rows)]]
    assert told["rejected"] <= 1
    for reject in target.rejected("t").values():
        assert text[reject["offset"] :].startswith(reject["raw"].encode())
