"""Encodes records in the lines of reject files, piece by piece."""

from __future__ import annotations

import base64
import codecs
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

# So much of a record is turned into text at a time; divisible by three, as Base64 has to be.
PIECE_BYTES = 3 << 18
# Where a line's own fields end: quotes in them have a backslash before them.
_FIELD = b',"raw'
# In text each of these takes six bytes.
_CONTROLS = bytes({*range(32), 127} - {*b"\b\t\n\f\r"})


def encode_raw(raw: bytes) -> Iterator[bytes]:
    """Yield the rest of a line, which holds the record, piece by piece.

    It is text; Base64 if the record is no text, or consists mostly of control characters.
    """
    if _is_text(raw):
        yield b',"raw":"'
        decode = codecs.getincrementaldecoder("utf-8")().decode
        for piece in _pieces(raw):
            yield msgspec.json.encode(decode(piece))[1:-1]
    else:
        yield b',"raw_base64":"'
        for piece in _pieces(raw):
            yield base64.b64encode(piece)
    yield b'"}\n'


def split_line(line: bytes) -> tuple[bytes, memoryview]:
    """Split a line into its own fields, as an object, and the record after them."""
    at = line.find(_FIELD)
    at = at if at >= 0 else line.rstrip().rfind(b"}")
    return line[:at] + b"}", memoryview(line)[at:]


def _pieces(raw: bytes) -> Iterator[bytes]:
    for start in range(0, len(raw), PIECE_BYTES):
        yield raw[start : start + PIECE_BYTES]


def _is_text(raw: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    controls = 0
    try:
        for piece in _pieces(raw):
            decoder.decode(piece)
            controls += len(piece) - len(piece.translate(None, _CONTROLS))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return 2 * controls <= len(raw)
