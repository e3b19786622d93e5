"""Records that lack a value that a sequence gives, where other records of their file have one.

They are loaded after the others, so that they take none of the values that the others name: first
all records but these, then the sequences are set beyond what is in the table, then these.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import msgspec

from restore.source.json_values import values_of
from restore.source.reader import Reader
from restore.source.records import Batch, RecordSelection
from restore.source.recovery import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from restore.decode.turns import Turns
    from restore.report.model import TableReport
    from restore.source.records import Records
    from restore.source.table_file import TableFile
    from restore.target.catalog import Table

_SEARCH_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16

_records = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def sequence_columns_in_file(table: Table, file: TableFile) -> frozenset[str]:
    """Return the fields of columns with a sequence that some record of a file has.

    Most files tell by their first records. Of one whose records all leave it to the sequence the
    bytes are searched for the name, which takes a fraction of the time of decoding them.

    Raises:
        BackupError: the file cannot be read.
    """
    numbered = {sequence.column for sequence in table.sequences}
    names = {column.field for column in table.columns if column.name in numbered}
    found = {name for name in names if _may_name(file, name)} if names else set()
    return frozenset(_named(file, found) if found else ())


def _may_name(file: TableFile, name: str) -> bool:
    """Tell whether a file holds a name in quotes, as it is or as Python writes it."""
    forms = {json.dumps(name, ensure_ascii=escaped).encode() for escaped in (False, True)}
    longest, held = max(map(len, forms)), b""
    with contextlib.closing(file.open()) as stream:
        while part := stream.read(_SEARCH_BYTES):
            held = held[-longest:] + part
            if any(form in held for form in forms):
                return True
    return False


def _named(file: TableFile, names: Collection[str]) -> set[str]:
    """Return those of the names that some record has a field of."""
    found: set[str] = set()
    with contextlib.closing(file.open()) as stream:
        for batch in Reader(stream, _CHUNK_BYTES, _records.decode):
            if isinstance(batch, Batch):
                found |= _names(batch.rows or map(_fields_of, batch.raws())) & set(names)
            if found == names:
                break
    return found


def _names(records: Iterable[Collection[str]]) -> set[str]:
    return set().union(*records)


def _fields_of(raw: bytes | msgspec.Raw) -> Collection[str]:
    try:
        return values_of(raw).keys()
    except DECODE_ERRORS:
        return ()


class LateCounter:
    """Counts the records that are left for later, each when all before it is decided.

    Args:
        turns: says whose turn it is.
        report: takes the count.
    """

    def __init__(self, turns: Turns, report: TableReport) -> None:
        self._turns = turns
        self._report = report
        self._ended = report.late  # by the end of the last batch

    def at(self, batch: Records, index: int) -> Records:
        """Count those before one of a batch's records."""
        if not self._turns.later:
            self._report.late = self._ended + _left_out(batch, index)
        return batch

    def end(self, batch: Records) -> None:
        """Count those of a batch."""
        self.leave(_left_out(batch, batch.count))

    def leave(self, records: int) -> None:
        """Count records that are left for later."""
        if not self._turns.later:
            self._ended += records
            self._report.late = self._ended


def _left_out(batch: Records, index: int) -> int:
    return batch.left_out(index) if isinstance(batch, RecordSelection) else 0
