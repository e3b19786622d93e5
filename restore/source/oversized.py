"""Reads a record that is larger than a chunk, looking at each byte once."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from restore.source.json_values import is_unfinished
from restore.source.lexer import NestingTracker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.source.buffer import ReadBuffer

# These bound what is held in memory. A record that is larger than the first is not read; it, and
# damage that does not end within the second, is reported in parts of that size.
LARGEST_RECORD_BYTES, LARGEST_DAMAGE_BYTES = 1 << 28, 1 << 25
TOO_LARGE = (
    f"this is part of a record larger than {LARGEST_RECORD_BYTES >> 20} MiB, the most that is read"
)


class OversizedRecord(NamedTuple):
    """Outcome of reading one record that is larger than a chunk.

    Attributes:
        data: the record alone, in an array; it is no longer in the buffer.
        beyond: its bytes so far if it is too large and goes on; then the buffer is empty.
        most: the size at which the content of the buffer counts as damage.
    """

    data: bytes | None = None
    beyond: io.BytesIO | None = None
    most: int = LARGEST_RECORD_BYTES


def read_oversized(buffer: ReadBuffer, chunk_bytes: int) -> OversizedRecord:
    """Read to the end of the buffer's first record, or twice as far as before."""
    held = io.BytesIO()  # gives up all its bytes without a copy
    held.write(b"[")
    held.write(buffer.data)
    record = NestingTracker()
    sound = buffer.data.startswith(b"{") and is_unfinished(buffer.data)
    sound = sound and record.end_in(buffer.data) is None
    check_at = 2 * len(buffer.data)
    most = LARGEST_RECORD_BYTES
    buffer.data = b""
    while sound or held.tell() <= check_at:
        part = buffer.read(chunk_bytes)
        end = record.end_in(part) if sound and part else None
        if end is not None:
            held.write(part[:end])
            held.write(b"]")
            buffer.data = part[end:]
            return OversizedRecord(held.getvalue())
        held.write(part)
        most = LARGEST_RECORD_BYTES if sound else LARGEST_DAMAGE_BYTES
        if buffer.ended or held.tell() > most:
            break
        if sound and held.tell() > check_at:
            with held.getbuffer() as view, view[1:] as text:
                sound = is_unfinished(text)
            check_at = 2 * held.tell() if sound else check_at
    if sound and held.tell() > most and not buffer.ended:
        return OversizedRecord(beyond=held)
    buffer.data = held.getvalue()[1:]
    return OversizedRecord(most=most)


def parts_of(buffer: ReadBuffer, held: io.BytesIO, chunk_bytes: int) -> Iterator[bytes]:
    """Yield a record that is too large in parts, up to its end or to damage in it.

    Args:
        buffer: the file behind ``held``; receives what was read beyond the record.
        held: what was read of the record, after one byte that is not part of it.
        chunk_bytes: how much is read at a time.
    """
    record = NestingTracker(checked=True)
    part = io.BytesIO()
    held.seek(1)
    while chunk := held.read(chunk_bytes) or buffer.read(chunk_bytes):
        end = record.end_in(chunk)
        if not record.sound:
            buffer.data = part.getvalue() + chunk + held.read()
            return
        part.write(chunk[:end])
        if end is not None or part.tell() >= LARGEST_DAMAGE_BYTES:
            yield part.getvalue()
            part = io.BytesIO()
        if end is not None:
            buffer.data = chunk[end:]
            return
    if part.tell():
        yield part.getvalue()
