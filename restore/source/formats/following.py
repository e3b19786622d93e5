"""Tells if a page of an API's answer says that others follow it: then the file is not all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.format import FormatError
from restore.source.formats.paths import documents
from restore.source.json_values import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from restore.source.formats.cursor import Cursor

# Keys of a link, a token or a flag that a last page does not have, or has as null, false or empty;
# in lower case, without underscores and what stands before a dot or colon.
_NEXT = frozenset(
    {"hasmore", "hasnext", "hasnextpage", "incompleteresults", "next", "nextcursor", "nextlink"}
    | {"nextpage", "nextpagetoken", "nextpageurl", "nextrecordsurl", "nexttoken", "truncated"}
)
# The number of a page, counted from 1, and that of the last one: Laravel, Strapi.
_NUMBERED = (("currentpage", "lastpage"), ("page", "pagecount"))
# How deep these may stand: `meta.pagination.links.next`.
_DEPTH = 3


def lists_in_pages(
    cursor: Cursor, lists: Collection[str], next_key: str | None = None
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Stop at each member of each page that holds records.

    Args:
        cursor: at the first page, or at a list of pages.
        lists: the keys of such members.
        next_key: a key that only a page has that is followed, beside the usual ones.

    Yields:
        The key, and what stands beside it in its page, to which the caller may add.

    Raises:
        FormatError: the last page tells of a next one.
    """
    beside: dict[str, bytes] = {}
    for _ in documents(cursor):
        beside = {}
        for key in cursor.members():
            if key in lists:
                yield key or "", beside
            elif key is not None:
                beside["next" if key == next_key else key] = cursor.value()
    check_last(beside)


def check_last(beside: Mapping[str, bytes | msgspec.Raw]) -> None:
    """Check what stands beside the records of a file's last page.

    Args:
        beside: its members but the records, undecoded.

    Raises:
        FormatError: others follow the page.
    """
    members = {key: _decoded(value) for key, value in beside.items()}
    if _tells(members, _DEPTH):
        raise FormatError(
            "it ends with a page that others follow; fetch all pages into the file, one after the"
            " other"
        )


def _tells(members: Mapping[str, object], depth: int) -> bool:
    plain = {_plain(key): value for key, value in members.items()}
    if any(plain.get(key) for key in _NEXT) or plain.get("last") is False:
        return True
    for first, last in _NUMBERED:
        number, most = plain.get(first), plain.get(last)
        if isinstance(number, int) and isinstance(most, int) and number < most:
            return True
    return depth > 0 and any(_tells(each, depth - 1) for each in _inner(plain.values()))


def _inner(values: Iterable[object]) -> Iterable[Mapping[str, object]]:
    for value in values:
        if isinstance(value, dict):
            yield value
        elif isinstance(value, list):  # of links
            for link in value:
                if isinstance(link, dict) and (rel := link.get("rel") or link.get("relation")):
                    yield {str(rel): link}


def _plain(key: str) -> str:
    return key.rpartition(".")[2].rpartition(":")[2].replace("_", "").lower()


def _decoded(value: bytes | msgspec.Raw) -> object:
    try:
        return msgspec.json.decode(value)
    except DECODE_ERRORS:
        return None
