"""Read on through one record that is larger than a chunk: each byte of it is looked at once."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from restore.source.lexer import Open
from restore.source.tokens import is_unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.source.buffer import Window

# These bound what is held in memory. A record that is larger than the first is not read; it, and
# damage that has no end at the second, is told in parts of that size.
LARGEST_RECORD_BYTES, LARGEST_DAMAGE_BYTES = 1 << 28, 1 << 25
TOO_LARGE = (
    f"this is part of a record larger than {LARGEST_RECORD_BYTES >> 20} MiB, the most that is read"
)


class Grown(NamedTuple):
    """What reading on through a record came to.

    Attributes:
        data: the record alone, in an array; it is no longer in the window.
        beyond: its bytes so far, where it is too large and goes on; in the window there are none.
        most: how large may be what is in the window, before it is damage as it stands.
    """

    data: bytes | None = None
    beyond: io.BytesIO | None = None
    most: int = LARGEST_RECORD_BYTES


def grow(window: Window, chunk_bytes: int) -> Grown:
    """Read on, to the end of the record that the window starts with, or as much again."""
    held = io.BytesIO()  # gives up all its bytes without a copy
    held.write(b"[")
    held.write(window.held)
    record = Open()
    sound = window.held.startswith(b"{") and is_unfinished(window.held)
    sound = sound and record.end_in(window.held) is None
    check_at = 2 * len(window.held)
    most = LARGEST_RECORD_BYTES
    window.held = b""
    while sound or held.tell() <= check_at:
        part = window.read(chunk_bytes)
        end = record.end_in(part) if sound and part else None
        if end is not None:
            held.write(part[:end])
            held.write(b"]")
            window.held = part[end:]
            return Grown(held.getvalue())
        held.write(part)
        most = LARGEST_RECORD_BYTES if sound else LARGEST_DAMAGE_BYTES
        if window.ended or held.tell() > most:
            break
        if sound and held.tell() > check_at:
            with held.getbuffer() as view, view[1:] as text:
                sound = is_unfinished(text)
            check_at = 2 * held.tell() if sound else check_at
    if sound and held.tell() > most and not window.ended:
        return Grown(beyond=held)
    window.held = held.getvalue()[1:]
    return Grown(most=most)


def parts_of(window: Window, held: io.BytesIO, chunk_bytes: int) -> Iterator[bytes]:
    """Yield a record that is too large, in parts, up to its end, or to where it is found damaged.

    Args:
        window: the file behind ``held``; takes what is read and is in no part.
        held: what was read of the record, behind one byte that is not the record's.
        chunk_bytes: how much is read at a time.
    """
    record = Open(checked=True)
    part = io.BytesIO()
    held.seek(1)
    while chunk := held.read(chunk_bytes) or window.read(chunk_bytes):
        end = record.end_in(chunk)
        if not record.sound:
            window.held = part.getvalue() + chunk + held.read()
            return
        part.write(chunk[:end])
        if end is not None or part.tell() >= LARGEST_DAMAGE_BYTES:
            yield part.getvalue()
            part = io.BytesIO()
        if end is not None:
            window.held = chunk[end:]
            return
    if part.tell():
        yield part.getvalue()
