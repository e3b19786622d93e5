"""Lists of values without names: refused, since which column each belongs to is not known."""

from __future__ import annotations

import io

from restore.source.formats.cursor import Cursor
from restore.source.formats.format import FormatError
from restore.source.formats.refused import Refused


def _is_list_of_values(start: bytes) -> bool:
    """Tell if lists stand in a list, or one a line, and no object is among their first values."""
    if not start.startswith(b"[") or start[1:].lstrip().startswith(b"]"):
        return False
    cursor = Cursor(io.BytesIO(start))
    try:
        if next(cursor.members(), "") == "":
            return False  # an empty list
        inner = cursor.peek()
        if inner == b"[":
            return not start[cursor.offset + 1 :].lstrip().startswith(b"{")
        if inner in (b"{", b"]", b""):
            return False
        lines = Cursor(io.BytesIO(start))
        lines.skip()
        return lines.peek() == b"["
    except FormatError:
        return False


FORMAT = Refused(
    "unnamed",
    "lists of values without the names of their columns",
    "lists in a list, or one a line, without objects around the values",
    'export objects: sqlite-utils without --arrays, pandas with orient="records", ClickHouse with'
    " FORMAT JSONEachRow",
    _is_list_of_values,
)
