"""Ways through a document to the values in it, without holding it."""

from __future__ import annotations

import functools
import io
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.cursor import Cursor
from restore.source.formats.format import FormatError
from restore.source.formats.rows import encode, one_line
from restore.source.json_values import DECODE_ERRORS, check_value, members_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    Path = tuple[str, ...]

ANY = "*"
"""In a path: any key."""
ITEM = "[]"
"""In a path: each item of a list."""
# A first object with more fields than this is none of a format that is recognised by its fields.
_MOST_FIELDS = 1_000


@functools.lru_cache(maxsize=4)  # each format asks for it
def first_object(start: bytes) -> dict[str, bytes]:
    """Return the fields of a file's first object, itself or the first item of its list.

    Args:
        start: the file's start. If it ends inside the object, the fields up to there are returned,
            and the last of them has only the part of its value that is known.
    """
    cursor = Cursor(io.BytesIO(start))
    if cursor.peek() == b"[":
        try:
            next(cursor.members(), None)
        except FormatError:
            return {}
    return object_fields(cursor, start)


def object_fields(cursor: Cursor, start: bytes) -> dict[str, bytes]:
    """Return the fields of the object at the cursor, as ``first_object`` does."""
    fields: dict[str, bytes] = {}
    key, begin = None, 0
    if cursor.peek() != b"{":
        return fields
    try:
        for key in cursor.members():
            if key is None or len(fields) == _MOST_FIELDS:
                break
            begin = cursor.offset
            fields[key] = cursor.value()
    except (FormatError, *DECODE_ERRORS):
        if key is not None and key not in fields:
            fields[key] = start[begin:]
    return fields


def visit(cursor: Cursor, wanted: Collection[Path], path: Path = ()) -> Iterator[Path]:
    """Go through the next value and stop at each place that is wanted; yield where that is.

    The caller reads the value there, or leaves it. All else is passed.

    Raises:
        FormatError: the value is damaged or cut off.
    """
    for key in cursor.members():
        here = (*path, ITEM if key is None else key)
        if any(_fits(here, one) for one in wanted):
            yield here
        elif cursor.peek() in (b"{", b"[") and any(
            len(one) > len(here) and _fits(here, one[: len(here)]) for one in wanted
        ):
            yield from visit(cursor, wanted, here)


def _fits(path: Path, wanted: Path) -> bool:
    return len(path) == len(wanted) and all(
        part in (ANY, key) for key, part in zip(path, wanted, strict=True)
    )


def documents(cursor: Cursor) -> Iterator[None]:
    """Stop at each top-level object: in a list, or one behind the other.

    Raises:
        FormatError: as by ``Cursor.members``.
    """
    while opening := cursor.peek():
        if opening == b"[":
            yield from (None for _ in cursor.members())
        else:
            start = cursor.offset
            yield
            if cursor.offset == start:
                cursor.skip()


def named_row(data: bytes, names: Sequence[str]) -> bytes:
    """Return a list of values as a row; what is no list of as many values stays as it is."""
    try:
        values = members_of(data)
    except DECODE_ERRORS:
        return data
    if len(values) != len(names):
        return data
    return one_line(encode(dict(zip(names, values, strict=True))))


def column_names(data: bytes | msgspec.Raw) -> list[str]:
    """Return the names in a list of them, or of objects that have a ``name``.

    Raises:
        FormatError: it is neither, or a name occurs twice.
    """
    try:
        names = msgspec.json.decode(data, type=list[str | _Named])
    except DECODE_ERRORS:
        raise FormatError("its list of columns has items that are no names") from None
    plain = [one if isinstance(one, str) else one.name for one in names]
    for name, count in Counter(plain).items():
        if count > 1:
            raise FormatError(f"its list of columns has {name!r} twice: rename one of them")
    return plain


class _Named(msgspec.Struct):
    name: str


def plain_row(record: bytes) -> bytes:
    """Return a record on one line if it is sound, else as it is."""
    if b"\n" in record or b"\r" in record:
        try:
            check_value(record)
        except DECODE_ERRORS:
            return record
    return one_line(record)
