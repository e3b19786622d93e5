"""Memory does not grow with the file: seen by memray, which counts every allocation."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import memray
import msgspec
import pytest

from restore.read import Reader

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
