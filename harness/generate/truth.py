"""The ground truth of rows: their bytes in PostgreSQL's binary format, and their hashes.

``docs/interfaces.md`` defines both; the server computes them with ``record_send`` and ``sha256``
(``trial/row_hash.py``).
"""

from __future__ import annotations

import hashlib
import struct
import sys
from array import array
from typing import TYPE_CHECKING

from harness.model.manifest import ROW_HASH_BYTES, checksum_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.model.manifest import Form

#: The object ids of types, the same in every PostgreSQL.
TEXT, BYTEA, FLOAT8, TIMESTAMP, TIMESTAMPTZ = 25, 17, 701, 1114, 1184
#: A timestamp counts microseconds from 2000-01-01; a text here counts from 1970-01-01.
EPOCH_2000_US = 946_684_800_000_000
INFINITE = {"infinity": 2**63 - 1, "-infinity": -(2**63)}
LANES = 4

_cell_head = struct.Struct(">Ii").pack
_timestamp_cell = struct.Struct(">Iiq").pack


class RowHashes:
    """The hashes of a table's rows, added block by block: their number and their checksum."""

    def __init__(self) -> None:
        self.rows = 0
        self._sums = [0] * LANES

    def add(self, digests: bytes) -> bytes:
        """Add the hashes of some rows; return what the dataset keeps of each."""
        lanes = array("Q", digests)
        if sys.byteorder == "little":
            lanes.byteswap()
        for lane in range(LANES):
            self._sums[lane] += sum(lanes[lane::LANES])
        self.rows += len(lanes) // LANES
        kept = lanes[::LANES]
        if sys.byteorder == "little":
            kept.byteswap()
        assert kept.itemsize == ROW_HASH_BYTES  # noqa: S101 - array's own type for 64 bits
        return kept.tobytes()

    @property
    def checksum(self) -> str:
        """Return the checksum of the rows so far."""
        return checksum_text(self._sums)


def cells(form: Form, texts: Iterable[str | None]) -> list[bytes]:
    """Return a column's values as they stand in rows in PostgreSQL's binary format."""
    null, heads = _null(form), _text_heads
    if form == "text":  # most columns: a call for each value would double the time
        return [
            null if text is None else heads[len(data := text.encode())] + data for text in texts
        ]
    encode = _ENCODERS[form]
    return [null if text is None else encode(text) for text in texts]


def digests(rows: Iterable[Sequence[bytes]], columns: int) -> bytes:
    """Return the SHA-256 of each row, given as its cells."""
    head, sha256 = columns.to_bytes(4, "big"), hashlib.sha256
    return b"".join([sha256(head + b"".join(row)).digest() for row in rows])


class _TextHeads(dict[int, bytes]):
    """A cache of what stands before a text of some length."""

    def __missing__(self, size: int) -> bytes:
        self[size] = _cell_head(TEXT, size)
        return self[size]


def _bytea(text: str) -> bytes:
    data = bytes.fromhex(text)
    return _cell_head(BYTEA, len(data)) + data


def _float8(text: str) -> bytes:
    return _cell_head(FLOAT8, 8) + bytes.fromhex(text)


def _timestamp(text: str) -> bytes:
    return _timestamp_cell(TIMESTAMP, 8, _microseconds(text))


def _timestamptz(text: str) -> bytes:
    return _timestamp_cell(TIMESTAMPTZ, 8, _microseconds(text))


def _microseconds(text: str) -> int:
    found = INFINITE.get(text)
    return int(text) - EPOCH_2000_US if found is None else found


def _null(form: Form) -> bytes:
    return _cell_head(_OIDS[form], -1)


_text_heads = _TextHeads()
_OIDS: dict[Form, int] = {
    "text": TEXT,
    "bytea": BYTEA,
    "float8": FLOAT8,
    "timestamp": TIMESTAMP,
    "timestamptz": TIMESTAMPTZ,
}
_ENCODERS: dict[Form, Callable[[str], bytes]] = {
    "bytea": _bytea,
    "float8": _float8,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
}
