"""Shards, read one by one, deliver what the whole file does; a seam that does not hold is known."""

from __future__ import annotations

import contextlib
import gzip
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from restore.source.discovery import find_backup
from restore.source.reader import Batch, Reader
from restore.source.shards import Shard, cut_into_shards
from restore.tests.source.test_read import RECORDS, STYLES, compact
from restore.tests.support.records import records_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from restore.source.discovery import TableFile

_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode
SHARDS = (500, 1_000, 4_000)


def written(folder: Path, data: bytes, name: str = "things.json") -> TableFile:
    """Return a backup's one file, with these bytes."""
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    [file] = find_backup(folder).files
    return file


def read(file: TableFile, shard: Shard, chunk_bytes: int = 300) -> tuple[list[Any], bool]:
    """Return what is read of a shard (records, or damage, with their offsets), and its seam."""
    found: list[Any] = []
    with contextlib.closing(shard.open(file)) as stream:
        reader = Reader(
            stream,
            chunk_bytes,
            _decode,
            resume_layout=shard.layout,
            ends_at_boundary=shard.end is not None,
        )
        for item in reader:
            if isinstance(item, Batch):
                found += [(r.offset, json.loads(r.raw)) for r in records_of(item)]
            else:
                found.append((item.record.offset, item.record.raw, item.reason))
        if shard.end is None:
            assert reader.cut_off_at is None
        return found, reader.boundary_holds


def together(file: TableFile, shards: Iterable[Shard]) -> tuple[list[Any], list[bool]]:
    read_all = [read(file, shard) for shard in shards]
    return [item for items, _ in read_all for item in items], [holds for _, holds in read_all[:-1]]


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("shard_bytes", SHARDS)
@pytest.mark.parametrize("name", ["things.json", "things.json.gz"])
def test_shards_are_the_whole_file(
    tmp_path: Path, style: Callable[[list[Any]], bytes], shard_bytes: int, name: str
) -> None:
    records = RECORDS * 10
    file = written(tmp_path, style(records), name)

    shards = list(cut_into_shards(file, shard_bytes))

    found, seams = together(file, shards)
    assert len(shards) > 3
    assert all(seams)
    assert found == read(file, Shard())[0]
    assert [record for _, record in found] == records


def test_damage_between_seams_is_isolated_where_it_is(tmp_path: Path) -> None:
    lines = [compact(record) for record in RECORDS * 10]
    for at in range(7, len(lines), 23):
        lines[at] = lines[at].replace(b'"list":[', b'"list":[[', 1)
    file = written(tmp_path, b"[" + b",".join(lines) + b"]")

    found, seams = together(file, cut_into_shards(file, 4_000))

    assert seams
    if all(seams):  # a shard whose last record is damaged is not proved
        assert found == read(file, Shard())[0]
    assert sum(len(item) == 3 for item in found) == len(range(7, len(lines), 23))


def test_a_list_in_a_record_that_looks_like_the_records_breaks_the_seam(tmp_path: Path) -> None:
    inner = [{"id": n, "list": []} for n in range(1_000)]
    file = written(tmp_path, compact([{"id": n, "list": inner} for n in range(3)]))

    found, seams = together(file, cut_into_shards(file, 1_000))

    assert not all(seams)
    assert found != read(file, Shard())[0]


def test_text_that_holds_records_is_seen_to_be_text(tmp_path: Path) -> None:
    text = compact([{"id": 1, "text": "x"}] * 100).decode()
    records = [{"id": n, "text": text} for n in range(50)]
    file = written(tmp_path, compact(records))

    found, seams = together(file, cut_into_shards(file, 3_000))

    assert all(seams)
    assert [record for _, record in found] == records


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dump.json", "dump.json.gz"])
def test_lists_under_keys_are_cut_too(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    data = compact({"users": RECORDS * 5, "orders": RECORDS * 7})
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    users, orders = find_backup(path).files

    for file, times in ((users, 5), (orders, 7)):
        shards = list(cut_into_shards(file, 1_000))
        found, seams = together(file, shards)
        assert len(shards) > 3
        assert all(seams)
        assert found == read(file, Shard())[0]
        assert [record for _, record in found] == RECORDS * times


def test_a_small_file_is_not_cut(tmp_path: Path) -> None:
    file = written(tmp_path, compact(RECORDS))
    assert [shard.is_whole for shard in cut_into_shards(file, 1 << 20)] == [True]


def test_an_empty_file_is_not_cut(tmp_path: Path) -> None:
    file = written(tmp_path, b"")
    assert [shard.is_whole for shard in cut_into_shards(file, 1)] == [True]
