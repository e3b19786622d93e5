"""phpMyAdmin's JSON: a list of a header, a database, and tables with their ``data``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.cursor import Cursor
from restore.source.formats.format import DamagedError, FormatError, FoundRecord
from restore.source.formats.paths import plain_row
from restore.source.formats.refused import Refused
from restore.source.formats.start import first_objects
from restore.source.json_values import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns

_COMMENT = b"Export to JSON plugin for PHPMyAdmin"


class _PhpMyAdmin:
    name = "phpmyadmin"
    title = "a JSON export of phpMyAdmin"
    recognised_by = 'a list that begins with an object whose `type` is `"header"`'
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        if not start.startswith(b"[") or _COMMENT not in start:
            return False
        header = next(iter(first_objects(start)), {})
        return bytes(header.get("type", b"")) == b'"header"' and "version" in header

    def records(
        self,
        stream: ByteSource,
        tables: Mapping[str, TableColumns] | None,  # noqa: ARG002 - as in the protocol
    ) -> Iterator[FoundRecord]:
        """Yield the rows of all tables, one table after the other.

        Raises:
            FormatError: tables of two databases are in it, or rows of no table.
        """
        cursor = Cursor(stream)
        exported: str | None = None
        for _ in cursor.members():
            told: dict[str, str] = {}
            for key in cursor.members():
                if key != "data":
                    told[key or ""] = _text(cursor.value())
                    continue
                if "name" not in told:
                    raise FormatError("rows stand before the name of their table; export it again")
                database = told.get("database", "")
                if database != (exported or database):
                    raise FormatError("it holds several databases; export one at a time")
                exported = database
                for record in cursor.records():
                    yield FoundRecord(told["name"], plain_row(record.raw), record.offset)
        cursor.end()


def _text(value: bytes) -> str:
    try:
        found = msgspec.json.decode(value)
    except DECODE_ERRORS:
        raise DamagedError("what stands beside its rows is damaged") from None
    return found if isinstance(found, str) else ""


FORMAT = _PhpMyAdmin()
OLD = Refused(
    "phpmyadmin-4",
    "a JSON export of phpMyAdmin before 4.8, which is not JSON",
    "a comment that names phpMyAdmin's plugin",
    "export the database with a newer phpMyAdmin, or remove the comments",
    lambda start: start.startswith(b"/**") and _COMMENT in start[:200],
)
