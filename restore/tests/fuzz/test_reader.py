"""The reader on damaged files: whatever the bytes, nothing is lost, altered, or told twice."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore.source.discovery import TableFile
from restore.source.envelope import read_envelope
from restore.source.reader import Reader
from restore.source.shards import Shard, cut_into_shards
from restore.source.table_stream import TableStream
from restore.tests.fuzz.backups import TOKENS, File, files, packed_by
from restore.tests.fuzz.corpus import FINDINGS
from restore.tests.fuzz.oracle import Piece, check, decode, pieces_of, read_checked

if TYPE_CHECKING:
    from collections.abc import Iterator

_bytes = st.binary(max_size=200) | st.lists(
    st.sampled_from([*TOKENS, b"\n", b"\r\n", b"\xef\xbb\xbf", b"},{", b"},\n{", b"]\n[", b"[{"]),
    max_size=14,
).map(b"".join)


@pytest.mark.parametrize("finding", FINDINGS.values(), ids=FINDINGS.keys())
def test_what_was_found_once(finding: File) -> None:
    for chunk_bytes in range(1, len(finding.data) + 2):
        check(finding.data, chunk_bytes)
        assert_all_delivered(finding, chunk_bytes)


@given(_bytes, st.integers(1, 60))
def test_any_bytes(data: bytes, chunk_bytes: int) -> None:
    check(data, chunk_bytes)


@given(files(), st.integers(1, 40) | st.integers(1, 400))
def test_every_sound_record_is_delivered_once_through_any_damage(
    file: File, chunk_bytes: int
) -> None:
    assert_all_delivered(file, chunk_bytes)


def assert_all_delivered(file: File, chunk_bytes: int) -> None:
    """Check that the sound records come, in order, but for those inside of another sound value."""
    whole = [piece.raw for piece in read_checked(file.data, chunk_bytes) if piece.whole]
    delivered = [raw for raw in whole if raw in file.sound]
    assert delivered == [
        raw for raw in file.sound if raw in whole or not any(raw in other for other in whole)
    ]


@given(files(most=40), st.integers(50, 1_500), st.integers(20, 400), st.sampled_from([None, "gz"]))
def test_shards_deliver_what_the_whole_file_does(
    file: File, shard_bytes: int, chunk_bytes: int, compression: str | None
) -> None:
    with written(file.data, compression) as table:
        shards = list(cut_into_shards(table, shard_bytes))
        parts = [_shard(table, shard, chunk_bytes) for shard in shards]
        if all(holds for _, holds in parts[:-1]):
            found = [piece for pieces, _ in parts for piece in pieces]
            [(whole, _)] = [_shard(table, Shard(), chunk_bytes)]
            # What is no object is told by the reader, or by who decodes: both reject it.
            assert [piece[:2] for piece in found] == [piece[:2] for piece in whole]
            assert [piece for piece in found if piece.raw.startswith(b"{")] == [
                piece for piece in whole if piece.raw.startswith(b"{")
            ]


def _shard(table: TableFile, shard: Shard, chunk_bytes: int) -> tuple[list[Piece], bool]:
    with contextlib.closing(shard.open(table)) as stream:
        seam = shard.end is not None
        reader = Reader(
            stream, chunk_bytes, decode, resume_layout=shard.layout, ends_at_boundary=seam
        )
        return pieces_of(reader), reader.boundary_holds


@contextlib.contextmanager
def written(data: bytes, compression: str | None) -> Iterator[TableFile]:
    """A table file of these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "things.json"
        path.write_bytes(packed_by(compression, data))
        yield TableFile(path, "things", compression)


@given(
    st.lists(
        st.sampled_from(
            [*TOKENS, b'"a":[{"id":1}],', b'"b":[', b'"data":{', b'"\xff":[', b'"\\ud800":[{}],']
        ),
        max_size=20,
    ),
    st.integers(1, 60),
)
def test_lists_under_keys_stand_where_they_are_said_to(
    tokens: list[bytes], chunk_bytes: int
) -> None:
    data = b"{" + b"".join(tokens)
    with written(data, None) as table, contextlib.closing(table.open()) as stream:
        envelope = read_envelope(stream, chunk_bytes)
    end = 0
    for section in envelope.sections if envelope else ():
        span = section.span
        assert end < span.start <= span.end <= len(data)
        assert data[span.start - 1 : span.start] == b"["
        assert not span.closed or data[span.end : span.end + 1] == b"]"
        end = span.end


@given(files(), st.sampled_from(["gz", "zst"]), st.floats(0, 1), st.none() | st.integers(0, 255))
def test_a_compressed_file_that_is_cut_off_or_damaged_ends_and_is_told(
    file: File, compression: str, place: float, byte: int | None
) -> None:
    packed = bytearray(packed_by(compression, file.data))
    at = int(place * (len(packed) - 1))
    if byte is None:
        del packed[at:]
    else:
        packed[at] = byte
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "things.json"
        path.write_bytes(packed)
        with contextlib.closing(TableStream(path, compression)) as stream:
            found = b"".join(iter(lambda: stream.read(64), b""))
    if byte is None:
        assert file.data.startswith(found)
        assert stream.fault or not at
    elif compression == "gz":  # Zstandard has a checksum only where one is asked for
        assert stream.fault or found == file.data


def test_brackets_in_a_row_are_one_damage() -> None:
    data = b'[{"a":1},' + b"[" * 100_000 + b'{"a":7},{"a":8}' + b"]" * 99_999 + b',{"a":2}]'
    pieces = read_checked(data, 1 << 19)
    assert [piece.raw for piece in pieces if piece.whole] == [b'{"a":1}', b'{"a":8}', b'{"a":2}']
    assert len(pieces) < 10
