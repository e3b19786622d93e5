"""What must hold of a reader for any bytes: the checks that every way of fuzzing shares."""

from __future__ import annotations

import io
import json
from typing import Any, NamedTuple

import msgspec

from restore.source.reader import Reader
from restore.source.records import Batch
from restore.tests.support.records import records_of

decode = msgspec.json.Decoder(list[dict[str, Any]]).decode
# What may stand between records without being told of: also the other white space of ASCII.
_BETWEEN = b" \t\r\n\v\f,[]"
_UTF8_BOM = b"\xef\xbb\xbf"


class Piece(NamedTuple):
    """Bytes that were delivered, and where they stand; ``whole``: as a record, not as damage."""

    offset: int
    raw: bytes
    whole: bool


def pieces_of(reader: Reader) -> list[Piece]:
    """Read all, and check that it is counted from 0."""
    pieces, ordinals = [], []
    for found in reader:
        whole = isinstance(found, Batch)
        for record in records_of(found) if isinstance(found, Batch) else [found.record]:
            pieces.append(Piece(record.offset, record.raw, whole))
            ordinals.append(record.ordinal)
    assert ordinals == list(range(len(ordinals)))
    return pieces


def read_checked(data: bytes, chunk_bytes: int) -> list[Piece]:
    """Read ``data``: nothing twice, nothing unsaid, every offset right, and what is whole is JSON.

    Raises:
        AssertionError: something of this does not hold.
    """
    pieces = pieces_of(Reader(io.BytesIO(data), chunk_bytes, decode))
    end = len(_UTF8_BOM) if data.startswith(_UTF8_BOM) else 0
    for piece in pieces:
        assert piece.offset >= end, f"twice, at {piece.offset}"
        assert not _said(data[end : piece.offset]), f"unsaid, at {end}"
        end = piece.offset + len(piece.raw)
        assert data[piece.offset : end] == piece.raw, f"not what stands at {piece.offset}"
        if piece.whole:
            json.loads(piece.raw.decode(errors="replace"))  # UTF-8 is left to who decodes values
    assert not _said(data[end:]), f"unsaid, at {end}"
    return pieces


def _said(between: bytes) -> bytes:
    """Return what of the bytes between two records means anything."""
    return between.replace(_UTF8_BOM, b"").strip(_BETWEEN)


def check(data: bytes, chunk_bytes: int) -> None:
    """Check what must hold of any bytes, and of valid JSON more.

    Raises:
        AssertionError: something of it does not hold.
    """
    pieces = read_checked(data, chunk_bytes)
    records = _valid(data)
    if records is not None:
        assert all(piece.whole for piece in pieces)
        assert [json.loads(piece.raw) for piece in pieces] == records


def _valid(data: bytes) -> list[Any] | None:
    """Return the records of a valid array of objects; None: it is none."""
    try:
        value = msgspec.json.decode(data, type=list[dict[str, Any]])
        assert value == json.loads(data)
    except (msgspec.DecodeError, ValueError, RecursionError, AssertionError):
        return None
    return value
