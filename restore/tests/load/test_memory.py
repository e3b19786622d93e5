"""Memory does not grow with the file: seen by memray, which counts every allocation."""

from __future__ import annotations

import contextlib
import gzip
import io
from typing import TYPE_CHECKING, Any

import memray
import msgspec
import pytest

from restore.source.discovery import find_backup
from restore.source.oversized import LARGEST_DAMAGE_BYTES
from restore.source.reader import Batch, Reader

if TYPE_CHECKING:
    from pathlib import Path

_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Repeated(io.RawIOBase):
    """A file of ``count`` records that is never in memory as a whole."""

    def __init__(self, record: bytes, count: int) -> None:
        self._record = record
        self._left = count
        self._rest = b"["

    def read(self, size: int = -1, /) -> bytes:
        while len(self._rest) < size and self._left:
            self._left -= 1
            self._rest += self._record + (b"," if self._left else b"]")
        part, self._rest = self._rest[:size], self._rest[size:]
        return part


def peak_bytes(record: bytes, count: int, folder: Path) -> int:
    path = folder / f"{count}.memray"
    tracker = memray.Tracker(path)
    with tracker:
        for _ in Reader(_Repeated(record, count), 1 << 16, _decode):
            pass
    return recorded_peak(path)


def recorded_peak(path: Path) -> int:
    peaks = []
    with memray.FileReader(path) as reader:
        peaks.append(int(reader.metadata.peak_memory))
    return peaks[0]


TEXT = b"x" * 400
SMALL, LARGE = 2_000, 20_000
# A quarter of what the larger file has more than the smaller one: far more than allocators waver,
# far less than keeping the file would take.
MARGIN_BYTES = (LARGE - SMALL) * len(TEXT) // 4


@pytest.mark.slow
@pytest.mark.parametrize("value", [b"1", b"nope"])
def test_peak_of_the_reader_is_the_same_for_ten_times_the_file(
    value: bytes, tmp_path: Path
) -> None:
    record = b'{"id":%b,"text":"%b"}' % (value, TEXT)
    small = peak_bytes(record, SMALL, tmp_path)
    large = peak_bytes(record, LARGE, tmp_path)
    assert large < small + MARGIN_BYTES


def test_the_measurement_notices_what_is_kept(tmp_path: Path) -> None:
    record = b'{"id":1,"text":"%b"}' % TEXT
    path = tmp_path / "kept.memray"
    with memray.Tracker(path):
        kept = list(Reader(_Repeated(record, LARGE), 1 << 16, _decode))
    assert recorded_peak(path) > peak_bytes(record, SMALL, tmp_path) + MARGIN_BYTES
    assert kept


class _OneLarge(io.RawIOBase):
    """A file of three records, of which the second is large; it is never in memory as a whole."""

    def __init__(self, part: bytes, count: int, end: bytes) -> None:
        end += b'},\n{"id":2}]'
        self._parts = iter([b'[{"id":0},\n{"id":1,"x":', *[part] * count, end])
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        self._rest = self._rest or next(self._parts, b"")
        part, self._rest = self._rest[:size], self._rest[size:]
        return part


MIB = 1 << 20


def peak_of_one_large(stream: io.RawIOBase, path: Path) -> tuple[int, list[Any]]:
    with memray.Tracker(path):
        found = [
            (type(item).__name__, len(item.data if isinstance(item, Batch) else item.record.raw))
            for item in Reader(stream, 1 << 16, _decode)
        ]
    return recorded_peak(path), found


def test_peak_of_a_large_record_is_little_more_than_its_size(tmp_path: Path) -> None:
    # A list of texts, brackets and all: not one long string, which would be too easy.
    count = 24
    stream = _OneLarge(b'["' + b"x" * (MIB - 6) + b'",', count, b"1" + b"]" * count)
    peak, found = peak_of_one_large(stream, tmp_path / "large.memray")
    assert [kind for kind, _ in found] == ["Batch", "Batch", "Batch"]
    assert count * MIB - count * 8 < found[1][1] < (count + 1) * MIB
    assert peak < 1.5 * count * MIB


def test_peak_of_a_large_damaged_record_is_a_small_multiple(tmp_path: Path) -> None:
    count = 24
    stream = _OneLarge(b"x" * MIB, count, b"")
    peak, found = peak_of_one_large(stream, tmp_path / "torn.memray")
    assert [kind for kind, _ in found] == ["Batch", "Damage", "Batch"]
    assert peak < 3.5 * count * MIB


@pytest.mark.slow
def test_peak_of_damage_without_end_is_that_of_a_part_of_it(tmp_path: Path) -> None:
    stream = _OneLarge(b"\0" * MIB, 80, b"")
    peak, found = peak_of_one_large(stream, tmp_path / "endless.memray")
    assert [kind for kind, _ in found] == ["Batch", "Damage", "Damage", "Damage", "Batch"]
    assert peak < 4 * LARGEST_DAMAGE_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("start", [b"", b"[", b'{"users":[', b'{"id":1}\n', b'[{"id":1},'])
def test_peak_of_white_space_is_that_of_a_chunk(start: bytes, tmp_path: Path) -> None:
    path = tmp_path / "dump.json.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(100):
            file.write(b" " * MIB)
    recorded = tmp_path / "white.memray"
    with memray.Tracker(recorded):
        for table in find_backup(path).files:
            with contextlib.closing(table.open()) as stream:
                for _ in Reader(stream, 1 << 16, _decode):
                    pass
    assert recorded_peak(recorded) < 20 * MIB


def test_peak_of_finding_lists_is_the_same_for_ten_times_the_file(tmp_path: Path) -> None:
    peaks = []
    for count in (SMALL, LARGE):
        path = tmp_path / f"{count}.json"
        records = b",".join([b'{"id":1,"text":"%b","in":[{"x":1}]}' % TEXT] * count)
        path.write_bytes(b'{"a":[%b],"no":[%b1],"b":[{"id":1}]}' % (records, b"[1,[2]]," * count))
        recorded = tmp_path / f"{count}.memray"
        with memray.Tracker(recorded):
            assert [file.table for file in find_backup(path).files] == ["a", "b"]
        peaks.append(recorded_peak(recorded))
    assert peaks[1] < peaks[0] + MARGIN_BYTES
