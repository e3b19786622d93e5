"""The records of a batch, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restore.source.records import RawRecord, Records


def records_of(batch: Records) -> list[RawRecord]:
    """Return each record's own bytes, offset and ordinal."""
    return [batch.record(index) for index in range(batch.count)]
