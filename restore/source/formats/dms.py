"""AWS DMS: records of a full load, as it writes them to Kinesis and Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.cursor import top_records
from restore.source.formats.format import FormatError, FoundRecord
from restore.source.formats.paths import plain_row
from restore.source.formats.start import first_objects
from restore.source.json_values import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns
    from restore.source.formats.rows import Fields


class _Metadata(msgspec.Struct, rename="kebab"):
    operation: str
    record_type: str
    table_name: str = ""


class _Record(msgspec.Struct):
    metadata: _Metadata
    data: msgspec.Raw = msgspec.Raw(b"{}")


_record = msgspec.json.Decoder(_Record)


class _Dms:
    name = "dms"
    title = "records of AWS DMS"
    recognised_by = "records with `metadata`, which has `record-type` and `operation`, and `data`"
    wrapper = frozenset({"data", "metadata"})

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        found = first_objects(start)
        return bool(found) and all(map(_is_record, found))

    def records(
        self,
        stream: ByteSource,
        tables: Mapping[str, TableColumns] | None,  # noqa: ARG002 - as in the protocol
    ) -> Iterator[FoundRecord]:
        """Yield the rows that are loaded or inserted, of all tables.

        Raises:
            FormatError: a row is changed or deleted.
        """
        for record in top_records(stream):
            try:
                found = _record.decode(record.raw)
            except DECODE_ERRORS:
                yield FoundRecord(None, record.raw, record.offset)
                continue
            metadata = found.metadata
            if metadata.record_type != "data":
                continue
            if metadata.operation not in ("load", "insert"):
                raise FormatError(
                    f"the record at byte {record.offset:,} is the operation {metadata.operation!r},"
                    " not part of a full load; export the tables by a full load"
                )
            yield FoundRecord(metadata.table_name, plain_row(bytes(found.data)), record.offset)


def _is_record(fields: Fields) -> bool:
    try:
        msgspec.json.decode(fields.get("metadata", b""), type=_Metadata)
    except DECODE_ERRORS:
        return False
    return True


FORMAT = _Dms()
