"""Keeps records for later: a few in memory, many in a temporary file."""

from __future__ import annotations

import contextlib
import tempfile
from typing import TYPE_CHECKING

import msgspec

from restore.errors import LoadError
from restore.source.records import RawRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

# So much is held in memory; beyond, all of it is in a file.
_HELD_BYTES = 2 << 20
_LENGTH_BYTES = 8

_record = msgspec.msgpack.Decoder(RawRecord)


class Spool:
    """Keeps records in order."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_HELD_BYTES)  # noqa: SIM115 - closed by us
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, record: RawRecord) -> None:
        """Keep a record.

        Raises:
            LoadError: there is no room for it.
        """
        data = msgspec.msgpack.encode(record)
        with _room():
            self._file.write(len(data).to_bytes(_LENGTH_BYTES, "big"))
            self._file.write(data)
        self._count += 1

    def __iter__(self) -> Iterator[RawRecord]:
        with _room():  # what was written last may not be in the file yet
            self._file.seek(0)
        while head := self._file.read(_LENGTH_BYTES):
            yield _record.decode(self._file.read(int.from_bytes(head, "big")))

    def close(self) -> None:
        """Remove all records."""
        with contextlib.suppress(OSError):  # there was no room for the last of them
            self._file.close()


@contextlib.contextmanager
def _room() -> Iterator[None]:
    """Turn an error of the temporary file into one that says what to do.

    Raises:
        LoadError: it cannot.
    """
    try:
        yield
    except OSError as error:
        raise LoadError(
            f"cannot keep records in the temporary folder: {error.strerror}; make room, or"
            " choose another one with the variable TMPDIR"
        ) from error
