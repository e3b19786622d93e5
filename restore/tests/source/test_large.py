"""Records and damage that are too large to be held are named, and kept in parts."""

from __future__ import annotations

import gzip
import io
import json
import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from restore.load import bulk_copy
from restore.load.ladder import Ladder
from restore.rejects.encoding import PIECE_BYTES
from restore.rejects.writer import RejectFile
from restore.report.reasons import Reason
from restore.schedule import scheduler as loading
from restore.source import oversized
from restore.source import reader as read
from restore.source.lexer import NestingTracker, find_closing
from restore.source.reader import Batch, Damage, Reader
from restore.source.records import RawRecord
from restore.tests.support.target import raw_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from restore.tests.support.target import Target

MIB = 1 << 20
_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have 4,000 bytes be the most of a record, and 1,000 that of damage."""
    monkeypatch.setattr(oversized, "LARGEST_RECORD_BYTES", 4_000)
    for module in (oversized, read):
        monkeypatch.setattr(module, "LARGEST_DAMAGE_BYTES", 1_000)


def array(*records: bytes) -> bytes:
    return b"[" + b",".join(records) + b"]"


def lined(*records: bytes) -> bytes:
    return b"[\n" + b",\n".join(records) + b"\n]"


def by_line(*records: bytes) -> bytes:
    return b"\n".join(records) + b"\n"


STYLES = (array, lined, by_line)
BEFORE, AFTER = b'{"id":1,"x":"a"}', b'{"id":3,"x":"c"}'
LARGE = {
    "text": b'{"id":2,"x":"' + b"x" * 9_000 + b'"}',
    "quotes": b'{"id":2,"x":"' + rb"\"\\" * 3_000 + b'"}',
    "records": b'{"id":2,"x":[' + b",".join([b'{"id":9,"x":"y"}'] * 600) + b"]}",
    "brackets": b'{"id":2,"x":"' + b"]}[{" * 2_000 + b'"}',
}


def found_in(data: bytes, chunk_bytes: int) -> tuple[list[Any], list[Damage], Reader]:
    """Read all; see that what is kept are the file's bytes, and that nothing is held for long."""
    reader = Reader(io.BytesIO(data), chunk_bytes, _decode)
    rows: list[Any] = []
    damages: list[Damage] = []
    for item in reader:
        if isinstance(item, Batch):
            rows += item.rows or []
            continue
        kept = item.record
        assert data[kept.offset : kept.offset + len(kept.raw)] == kept.raw
        damages.append(item)
    return rows, damages, reader


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("chunk_bytes", [64, 300, 1_000])
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", LARGE)
def test_a_record_that_is_too_large_is_kept_in_parts(
    kind: str, style: Callable[..., bytes], chunk_bytes: int
) -> None:
    data = style(BEFORE, LARGE[kind], AFTER)
    rows, damages, reader = found_in(data, chunk_bytes)
    assert [row["id"] for row in rows] == [1, 3]
    assert b"".join(damage.record.raw for damage in damages) == LARGE[kind]
    assert {damage.reason for damage in damages} == {oversized.TOO_LARGE}
    assert max(len(damage.record.raw) for damage in damages) <= 1_000 + chunk_bytes
    assert reader.cut_off_at is None


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize(
    "torn", [b'{"id":2,"x":"' + b"x" * 6_000, b'{"id":2,"x":[' + b"[1]," * 1_500]
)
@pytest.mark.parametrize("style", STYLES)
def test_one_that_is_torn_costs_no_record_behind_it(
    torn: bytes, style: Callable[..., bytes]
) -> None:
    data = style(BEFORE, torn, AFTER, BEFORE)
    rows, damages, _ = found_in(data, 64)
    assert [row["id"] for row in rows] == [1, 3, 1]
    kept = b"".join(damage.record.raw for damage in damages)
    assert kept.replace(b",", b"") == torn.replace(b",", b"")


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("style", STYLES)
def test_one_that_is_cut_off_is_kept_and_noticed(style: Callable[..., bytes]) -> None:
    data = style(BEFORE, LARGE["text"])[:-100]
    rows, damages, reader = found_in(data, 300)
    assert [row["id"] for row in rows] == [1]
    assert LARGE["text"].startswith(b"".join(damage.record.raw for damage in damages))
    assert damages[-1].record.offset + len(damages[-1].record.raw) == len(data)
    assert reader.cut_off_at == len(data)


@pytest.mark.slow
def test_the_end_of_a_large_value_is_that_of_a_small_one() -> None:
    draw = random.Random(1)  # noqa: S311 - no secret
    tokens = [b"{", b"}", b"[", b"]", b'"', b"\\", b'"a]"', b'"\\""', b"1," * 20_000, b"[" * 70_000]
    found = 0
    for _ in range(20):
        text = b"[" + b"".join(draw.choices(tokens, k=12)) + b"]}" * 70_000
        depth, in_string, end = 0, False, None
        position = 0
        while position < len(text) and end is None:
            byte = text[position : position + 1]
            if in_string:
                position += byte == b"\\"
                in_string = byte != b'"'
            elif byte == b'"':
                in_string = True
            elif byte in b"[{":
                depth += 1
            elif byte in b"]}":
                depth -= 1
                end = position + 1 if not depth else None
            position += 1
        found += end is not None
        assert find_closing(text, 0, 0, len(text)) == end
    assert 5 < found < 20


@pytest.mark.parametrize("text", [b'{"a":[1}', b'{"a" "b"', b'{"a":1,{', b'{"a":x', b"{1:2"])
def test_what_is_checked_is_found_damaged(text: bytes) -> None:
    opened, unchecked = NestingTracker(checked=True), NestingTracker()
    for at in range(len(text)):
        opened.end_in(text[at : at + 1])
        unchecked.end_in(text[at : at + 1])
    assert not opened.sound
    assert unchecked.sound


@pytest.mark.slow
def test_a_text_larger_than_the_cap_is_kept_in_bounded_memory(target: Target) -> None:
    size = 260 * MIB
    with gzip.open(target.backup / "company.json.gz", "wb", compresslevel=1) as file:
        file.write(b'[{"id":1,"name":"a"},{"id":2,"name":"')
        for _ in range(size // MIB):
            file.write(b"x" * MIB)
        file.write(b'"},{"id":3,"name":"c"}]')
    told = target.restore("--jobs", "1", exit_code=3, is_alone=True)
    assert "x this is part of a record larger than 256 MiB" in told
    assert target.rows("SELECT id FROM company ORDER BY id") == [(1,), (3,)]
    kept = 0
    with (target.rejects / "company.jsonl").open("rb") as lines:
        for line in lines:
            reject = json.loads(line)
            assert reject["offset"] == 21 + kept
            assert reject["length"] == len(reject["raw"])
            kept += reject["length"]
    assert kept == size + len(b'{"id":2,"name":""}')
    # What may be held of a record, once, and what a part of it takes on its way.
    assert json.loads(target.report.read_bytes())["peak_bytes"] < (256 + 80 + 4 * 32) * MIB


@pytest.mark.slow
@pytest.mark.parametrize("what", [b"\0", b"["])
def test_a_bomb_is_rejected_in_bounded_memory_and_room(target: Target, what: bytes) -> None:
    with gzip.open(target.backup / "company.json.gz", "wb", compresslevel=1) as file:
        file.write(b'[{"id": 1, "name": "n"},')  # without a record it is not a table file
        for _ in range(40):
            file.write(what * MIB)
    target.restore("--jobs", "1", exit_code=3, is_alone=True)
    assert json.loads(target.report.read_bytes())["peak_bytes"] < (80 + 5 * 32) * MIB
    assert (target.rejects / "company.jsonl").stat().st_size < 1.4 * 40 * MIB


@pytest.mark.parametrize(
    "raw",
    [
        'aé€😀\\"\n\x01'.encode() * 300_000,
        b"\xff" + b"a" * PIECE_BYTES,
        b"\0\1" * PIECE_BYTES,
        b"",
        b'{"raw":1,"a":"}\\"',
    ],
    ids=["text", "no UTF-8", "controls", "nothing", "a field of that name"],
)
def test_a_reject_of_any_size_is_kept_as_it_is(raw: bytes, tmp_path: Path) -> None:
    reason = Reason(level="read", message='of ,"raw":"x"')
    with RejectFile(tmp_path, "s", "t", "part") as part, RejectFile(tmp_path, "s", "t") as whole:
        part.add(RawRecord(raw, 7, 3), reason)
        part.add(RawRecord(b"{}", 9, 4), reason)
        whole.append_from(part.path, 10)
        assert whole.path.stat().st_size == whole.size
        lines = [json.loads(line) for line in whole.path.read_bytes().splitlines()]
        assert [raw_of(line) for line in lines] == [raw, b"{}"]
        assert [line["ordinal"] for line in lines] == [13, 14]
        assert lines[0]["message"] == reason.message
        again = RejectFile(tmp_path, "s", "t", keeping=whole.size)
    assert 13 in again.ordinals
    again.close()


def test_what_is_large_is_not_held(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_WORTH_BYTES", 1_000)
    monkeypatch.setattr(bulk_copy, "_MOST_DEFERRED_BYTES", 2_000)
    held: list[int] = []
    load = Ladder.load_deferred

    def note(ladder: Ladder, records: Sequence[RawRecord | Damage]) -> None:
        raws = [each.record.raw if isinstance(each, Damage) else each.raw for each in records]
        held.append(sum(map(len, raws)))
        load(ladder, records)

    monkeypatch.setattr(Ladder, "load_deferred", note)
    sound = [f'{{"id":{number},"name":"n"}}' for number in range(300)]
    for at, text in ((50, '{"id":"x' + "y" * 400), (150, '{"id":"z","name":"%s"}' % ("w" * 3_000))):
        sound[at] = text
    target.conn.execute("CREATE TABLE thing (id int PRIMARY KEY, name text)")
    target.write_raw({"thing": sound})
    [table] = target.load(chunk_bytes=2_048, jobs=1).tables
    assert (table.loaded, table.rejected) == (298, 2)
    assert 0 < max(held) < 2_000
