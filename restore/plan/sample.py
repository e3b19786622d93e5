"""The first records of table files: their fields, and what these hold."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from msgspec import Struct, field

from restore.plan.names import squash
from restore.source.json_values import DECODE_ERRORS, members_of, values_of
from restore.source.reader import Reader
from restore.source.records import Damage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    import msgspec
    import psycopg

    from restore.source.discovery import TableFile
    from restore.source.records import Batch
    from restore.source.table_file import TableBytes
    from restore.target.relations import Relation

# So much of a file is read, and more if there is no record in it: one may be large, or the start of
# a file damaged.
_ENOUGH_BYTES = 1 << 18
_HEAD_BYTES = 1 << 20
_READ_BYTES = 1 << 16
_KEPT_BYTES = 1 << 16
# Records may have a new field each.
_MOST_FIELDS, _MOST_SHAPES = 2_000, 100
_COLUMNS = """
    SELECT attname, attnotnull AND NOT atthasdef AND attidentity = '' FROM pg_attribute
    WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""


class Sample(Struct):
    """The first records of a file.

    Attributes:
        start: the file's first bytes.
        first: the first whole record, if it is not large.
        records: how many whole records were read.
        fields: their fields, in their order, each with its number of records.
        nested: those that hold an object, or a list of objects, with the fields of the first.
        shapes: the sets of fields of the first records that differ in them.
        has_null: some field is null.
        is_damaged: something is no record.
    """

    start: bytes = b""
    first: bytes = b""
    records: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    nested: dict[str, frozenset[str]] = field(default_factory=dict)
    shapes: dict[frozenset[str], None] = field(default_factory=dict)
    has_null: bool = False
    is_damaged: bool = False

    def add(self, record: dict[str, msgspec.Raw], raw: bytes) -> None:
        """Add a whole record, of which ``raw`` is the text."""
        self.records += 1
        if len(self.shapes) < _MOST_SHAPES:
            self.shapes[frozenset(record)] = None
        fields = self.fields
        for name in record:
            if name in fields:
                fields[name] += 1
            elif len(fields) < _MOST_FIELDS:
                fields[name] = 1
        # To take each value out of a record takes longer than to decode it.
        if not self.has_null and b"null" in raw:
            self.has_null = any(bytes(record[name]) == b"null" for name in fields.keys() & record)
        known = sum(bytes(record.get(name, b"")).count(b"{") for name in self.nested)
        if raw.count(b"{") > known + 1:
            for name, value in record.items():
                if name not in self.nested and name in fields:
                    self._add_nested(name, bytes(value))

    def _add_nested(self, name: str, value: bytes) -> None:
        if value[:1] not in {b"{", b"["} or b"{" not in value:
            return
        with contextlib.suppress(*DECODE_ERRORS):
            members = [value] if value.startswith(b"{") else members_of(value)[:1]
            for member in members:
                if bytes(member).startswith(b"{"):
                    self.nested[name] = frozenset(values_of(bytes(member)))


def read_sample(file: TableFile) -> Sample:
    """Read the first records of a file.

    Raises:
        BackupError: the file cannot be read.
    """
    sample = Sample()
    with contextlib.closing(file.open()) as stream:
        head = _Head(stream, sample)
        for found in Reader(head, _READ_BYTES, members_of):
            for raw in _raws(found):
                try:
                    record = None if raw is None else values_of(raw)
                except DECODE_ERRORS:
                    record = None
                if record is None or raw is None:
                    sample.is_damaged = True
                    continue
                text = bytes(raw)
                if not sample.records and len(text) <= _KEPT_BYTES:
                    sample.first = text
                sample.add(record, text)
            if sample.records and head.bytes_read > _ENOUGH_BYTES:
                break
    return sample


def sample_of(records: Iterable[bytes]) -> Sample:
    """Return the sample of some records; what is no record is left out."""
    sample = Sample()
    for raw in records:
        with contextlib.suppress(*DECODE_ERRORS):
            sample.add(values_of(raw), raw)
    return sample


def _raws(found: Batch | Damage) -> Iterator[msgspec.Raw | bytes | None]:
    """Yield the records of what was read; None: damage."""
    if isinstance(found, Damage):
        yield None
    else:
        yield from found.raws()


class _Head:
    """A stream's first bytes, as a stream; a sample keeps the first of them."""

    def __init__(self, stream: TableBytes, sample: Sample) -> None:
        self.span, self.start = stream.span, stream.start
        self.bytes_read = 0
        self._stream = stream
        self._sample = sample

    def read(self, size: int, /) -> bytes:
        part = self._stream.read(min(size, _HEAD_BYTES - self.bytes_read))
        self.bytes_read += len(part)
        self._sample.start += part[: _KEPT_BYTES - len(self._sample.start)]
        return part


class Samples:
    """Reads samples of files, each once, and compares them with the columns of tables.

    Args:
        conn: a connection to the target.
    """

    def __init__(self, conn: psycopg.Connection) -> None:
        self._conn = conn
        self._samples: dict[int, tuple[TableFile, Sample]] = {}  # a file may not be hashable

    def of(self, file: TableFile) -> Sample:
        """Return the sample of a file.

        Raises:
            BackupError: it cannot be read.
        """
        if id(file) not in self._samples:
            self._samples[id(file)] = file, read_sample(file)
        return self._samples[id(file)][1]

    def may_be_rows(self, file: TableFile, relation: Relation) -> bool:
        """Tell if a file has no records, or if these seem to be of a table of another name.

        Raises:
            BackupError: it cannot be read.
        """
        sample = self.of(file)
        return not sample.is_damaged and (
            not sample.records or self.may_have(sample.fields, relation)
        )

    def columns(self, relation: Relation) -> frozenset[str]:
        """Return the names of a table's columns."""
        found = self._conn.execute(_COLUMNS, [relation.oid]).fetchall()
        return frozenset(name for name, _ in found)

    def may_have(self, fields: Collection[str], relation: Relation) -> bool:
        """Tell if half of some fields are columns of a table, and all that it needs among them."""
        found = self._conn.execute(_COLUMNS, [relation.oid]).fetchall()
        names = {"id" if name == "_id" else squash(name) for name in fields}
        columns = {squash(name) for name, _ in found}
        needed = {squash(name) for name, is_needed in found if is_needed}
        return needed <= names and len(names & columns) * 2 >= len(names)
