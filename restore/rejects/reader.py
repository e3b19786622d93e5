"""Reads reject files, which people may have edited, as batches of records.

A record stands in ``raw``: as the text that was kept, or as the object itself, which is easier to
write.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from restore.errors import BackupError
from restore.rejects.folder import SUFFIX
from restore.source.json_values import values_of
from restore.source.records import Damage, RawRecord
from restore.source.recovery import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

_BATCH_RECORDS = 500
_BATCH_BYTES = 1 << 19


_NULL = msgspec.Raw(b"null")


class RejectLine(msgspec.Struct):
    """The fields of a reject file's line that are needed to retry its record."""

    table: str
    schema: str | None = None
    ordinal: int | None = None
    offset: int | None = None
    sqlstate: str | None = None
    raw: msgspec.Raw = _NULL
    raw_base64: str | None = None


_lines = msgspec.json.Decoder(RejectLine)


class RejectEntry(Struct, frozen=True):
    """A line, its record, and the SQLSTATE with which the server refused that, if it did."""

    line: bytes
    record: RawRecord
    sqlstate: str | None


class RejectBatch(Struct, frozen=True):
    """Records for the ladder, like a batch of a table file."""

    data: bytes
    entries: list[RejectEntry]
    rows: Any | None = None

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.entries)

    @property
    def end(self) -> int:
        """Where in the table file the last of them ends."""
        last = self.entries[-1].record
        return last.offset + len(last.raw)

    def record(self, index: int) -> RawRecord:
        """Return one of them, with its place in the table file that it came from."""
        return self.entries[index].record


def read_reject_files(path: Path) -> dict[Path, RejectLine]:
    """Check every line; return the reject files, each with its first line."""
    if not path.exists():
        raise BackupError(f"no rejects at {path}: give a folder of <table>{SUFFIX}, or such a file")
    paths = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    files = {}
    try:
        for file in paths:
            first = None
            for line in _checked_lines(file):
                first = first or line
            if first is not None:
                files[file] = first
    except OSError as error:
        raise BackupError(f"cannot read {error.filename}: {error.strerror}") from error
    if not files:
        raise BackupError(f"no rejects in {path}: nothing to restore")
    return files


def _checked_lines(path: Path) -> Iterator[RejectLine]:
    table = None
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                entry = _decoded(line)
                _raw_of(entry)
            except (*DECODE_ERRORS, binascii.Error) as error:
                raise BackupError(f"{path}, line {number}: {error}; repair the line") from error
            if table is not None and table != (entry.schema, entry.table):
                raise BackupError(f"{path}, line {number}: another table than in the lines before")
            table = entry.schema, entry.table
            yield entry


def _decoded(line: bytes) -> RejectLine:
    """Decode a line; its record may be an object that is too deep for msgspec."""
    try:
        return _lines.decode(line)
    except RecursionError:
        fields = values_of(line)
        raw = fields.pop("raw", _NULL)
        own = [b"%b:%b" % (msgspec.json.encode(name), value) for name, value in fields.items()]
        found = _lines.decode(b"{%b}" % b",".join(own))
        found.raw = raw
        return found


def _raw_of(line: RejectLine) -> bytes:
    """Return the bytes of a line's record: an object unchanged, or the content of a string."""
    raw = bytes(line.raw)
    if raw.startswith(b'"'):
        return msgspec.json.decode(raw, type=str).encode()
    if raw == b"null" and line.raw_base64 is not None:
        return base64.b64decode(line.raw_base64, validate=True)
    return raw


def read_entries(path: Path) -> Generator[list[RejectEntry]]:
    """Yield a reject file's entries in groups of a batch's size."""
    group: list[RejectEntry] = []
    size = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            found = _decoded(line)
            ordinal = number if found.ordinal is None else found.ordinal
            record = RawRecord(_raw_of(found), found.offset or 0, ordinal)
            group.append(RejectEntry(line.rstrip(b"\r\n"), record, found.sqlstate))
            size += len(line)
            if len(group) >= _BATCH_RECORDS or size >= _BATCH_BYTES:
                yield group
                group, size = [], 0
    if group:
        yield group


def to_batches(group: list[RejectEntry]) -> Iterator[RejectBatch | Damage]:
    """Split entries, in order, into batches of records and damage."""
    whole: list[RejectEntry] = []
    for entry in group:
        try:
            values_of(entry.record.raw)
        except DECODE_ERRORS as error:
            if whole:
                yield _batch(whole)
                whole = []
            yield Damage(entry.record, str(error))
        else:
            whole.append(entry)
    if whole:
        yield _batch(whole)


def _batch(entries: list[RejectEntry]) -> RejectBatch:
    return RejectBatch(b"[%b]" % b",".join(entry.record.raw for entry in entries), entries)
