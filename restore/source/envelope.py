"""Finds the lists of records in an envelope: one object that holds several under its keys.

``ijson`` follows the object; the inside of a list of objects is left to the ``Reader``, which knows
how to get past damage, so that a torn record costs none of the other lists. Nothing is kept but
names and offsets, and each byte is looked at once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import ijson
from msgspec import Struct

from restore.source.buffer import UTF8_BOM, WHITESPACE, Prefixed
from restore.source.json_values import members_of
from restore.source.lexer import TEXT
from restore.source.reader import Reader
from restore.source.table_stream import Span

if TYPE_CHECKING:
    from restore.source.table_file import TableBytes

# An object under one of these keys may hold the lists, in place of the outer one.
WRAPPERS = frozenset({"data", "tables"})
_CHUNK_BYTES = 1 << 19
# So much white space may stand between a bracket and the first record.
_MOST_GAP_BYTES = 1 << 16
# So many keys that hold no list of records are named; a map of millions has too many.
_MOST_NAMED = 20
_ERRORS = (ijson.JSONError, ValueError)
# After damage outside the lists, the next of them is looked for. No key starts at a quote that a
# backslash escapes: a string without an end is looked at once, not from each of them.
_LIST = re.compile(rb'(?<!\\)"' + TEXT + rb'"\s*:\s*\[(?=\s*[{\]])', re.DOTALL)
_ANOTHER = re.compile(rb"\}\s*\{")
# An object with more lists than this is a map, not a backup.
_MOST_SECTIONS = 4_000
_KEPT_BYTES = 1 << 10
# A text outside the lists that is larger is damage: the parser holds all of it.
_LARGEST_TEXT_BYTES = 1 << 26


class Section(Struct, frozen=True):
    """A list under a key of an envelope, and its place in the file.

    ``disk``: from where to where it stands in the file as it lies on the disk; about, where that
    is compressed.
    """

    key: str
    span: Span
    disk: tuple[int, int]
    empty: bool = False


class Envelope(Struct, frozen=True):
    """The lists of records in an object, in file order.

    Args:
        sections: the lists.
        others: keys that hold no list of records, the first few of them.
        scalars: some of these hold neither an object nor a list: it may be a record itself.
        documents: keys that hold members, but no list of records: these are no records of theirs.
        fault: the first damage outside the lists, with its place; None: there is none.
    """

    sections: tuple[Section, ...]
    others: tuple[str, ...]
    scalars: bool
    documents: tuple[str, ...]
    fault: str | None


def read_envelope(stream: TableBytes, chunk_bytes: int = _CHUNK_BYTES) -> Envelope | None:
    """Find the lists in one object; return None if the bytes are not a single object.

    Args:
        stream: the file's bytes from its start, decompressed.
        chunk_bytes: how much is read at a time.

    Raises:
        BackupError: they cannot be read.
    """
    return _EnvelopeParser(stream, chunk_bytes).read()


class _Level(Struct):
    """An open object or list; for an object, the key that was read last."""

    is_object: bool
    key: str = ""


class _EnvelopeParser:
    """Parses an object from its start, in pieces that end after each ``[``."""

    def __init__(self, stream: TableBytes, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._stream = stream
        self._buffer = b""
        self._at = 0  # what is before it in the buffer has been used
        self._offset = 0  # of the first byte that has not
        self._levels: list[_Level] = []
        self._sections: list[Section] = []
        self._others: dict[str, None] = {}
        self._scalars = False
        self._documents: dict[str, None] = {}
        self._fault: str | None = None
        self._behind = b""  # the start of a key, if the parser stands in one
        self._recovered_at = -1
        self._prefix = b"{"  # brings a new parser to where the lists are
        self._start_parser()

    def read(self) -> Envelope | None:
        """Parse the whole object; return None if another value follows it."""
        while len(self._buffer) < len(UTF8_BOM) and self._more():
            continue
        if self._buffer.startswith(UTF8_BOM):
            self._drop(len(UTF8_BOM))
        while self._at < len(self._buffer) or self._more():
            end = self._buffer.find(b"[", self._at) + 1 or len(self._buffer)
            piece = self._buffer[self._at : end]
            error = self._feed(piece)
            if error is None:
                self._drop(len(piece))
                self._behind = _key_start(self._behind + piece)
                if piece.endswith(b"[") and self._is_list():
                    self._list(self._levels[-2].key)
                if len(self._sections) > _MOST_SECTIONS:
                    return None
            elif (not self._levels and _is_another(piece)) or not self._recover(error):
                return None
        if self._levels and self._fault is None:
            self._fault = f"is truncated at byte {self._offset:,}: its object is not closed"
        return Envelope(
            tuple(self._sections),
            tuple(self._others),
            self._scalars,
            tuple(self._documents),
            self._fault,
        )

    def _more(self) -> bool:
        part = self._stream.read(self._chunk_bytes)
        self._buffer = self._buffer[self._at :] + part
        self._at = 0
        return bool(part)

    def _drop(self, count: int) -> None:
        self._at += count
        self._offset += count

    def _rest(self) -> bytes:
        """Discard the used part of the buffer; return the unused part."""
        self._buffer = self._buffer[self._at :]
        self._at = 0
        return self._buffer

    def _start_parser(self) -> None:
        self._levels.clear()
        self._unseen = 0  # bytes since the parser last said anything
        self._events: list[tuple[str, Any]] = ijson.sendable_list()
        self._parser = ijson.basic_parse_coro(self._events)

    def _feed(self, piece: bytes) -> str | None:
        """Feed a piece to the parser; return what is wrong with it, if anything."""
        error = None
        try:
            self._parser.send(piece)
        except _ERRORS as fault:
            text = fault.args[0] if fault.args else ""
            text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
            error = text.partition("\n")[0].strip()
        self._unseen += len(piece)
        if self._events:
            self._unseen = 0
        if self._unseen > _LARGEST_TEXT_BYTES:
            error = error or "a text too large to be outside a list"
        for event, value in self._events:
            self._take(event, value)
        del self._events[:]
        return error

    def _take(self, event: str, value: object) -> None:
        level = self._levels[-1] if self._levels else None
        if event in ("end_map", "end_array"):
            self._levels.pop()
        elif event == "map_key" and level is not None:
            self._note_document(self._levels[:-1])
            level.key = str(value)
        elif event == "start_array":
            self._levels.append(_Level(is_object=False))
        else:
            if len(self._levels) == 1 and level is not None:
                is_object = event == "start_map"
                self._scalars = self._scalars or not is_object
                self._note_other_key(level.key, unless=is_object and level.key in WRAPPERS)
            if event == "start_map":
                self._levels.append(_Level(is_object=True))

    def _note_other_key(self, key: str, *, unless: bool = False) -> None:
        if not unless and len(self._others) < _MOST_NAMED:
            self._others[key] = None

    def _note_document(self, outer: list[_Level]) -> None:
        """Note that the object within the outer ones has a member."""
        of_wrapper = len(outer) > 1 and outer[0].key in WRAPPERS
        if len(outer) == 1 + of_wrapper and all(level.is_object for level in outer):
            self._note(outer[-1].key)

    def _note(self, key: str) -> None:
        if len(self._documents) < _MOST_SECTIONS:
            self._documents[key] = None

    def _is_list(self) -> bool:
        """Tell if the parser is at the start of a list that may be a table."""
        levels = self._levels
        outer = len(levels) == 2 or (len(levels) == 3 and levels[0].key in WRAPPERS)  # noqa: PLR2004 - an object, or one in a wrapper, and the list
        if not outer or levels[-1].is_object or not all(x.is_object for x in levels[:-1]):
            return False
        self._prefix = b"{" if len(levels) == 2 else b'{"%b":{' % levels[0].key.encode()  # noqa: PLR2004
        return True

    def _list(self, key: str) -> None:
        """Find the end of a list of records; leave any other list to the parser."""
        start = self._offset
        inside = self._rest().lstrip(WHITESPACE)
        while not inside and len(self._buffer) < _MOST_GAP_BYTES and self._more():
            inside = self._buffer.lstrip(WHITESPACE)
        if inside.startswith(b"{"):
            self._skip_records(key)
        elif not inside or inside.startswith(b"]"):
            end = start + len(self._buffer) - len(inside)
            self._add(key, Span(start, end, closed=bool(inside)), 0, empty=True)
        else:
            self._note_other_key(key)
            self._note(key)

    def _skip_records(self, key: str) -> None:
        start, disk = self._offset, self._stream.disk_bytes_read
        rest = Prefixed(b"[" + self._buffer, self._stream)
        reader = Reader(rest, self._chunk_bytes, members_of, more_follows=True)
        for _ in reader:
            pass
        closed = reader.stop is not None
        end = start - 1 + (reader.bytes_read if reader.stop is None else reader.stop - 1)
        self._add(key, Span(start, end, closed), disk)
        self._offset = end
        self._buffer = b"]" + reader.rest if closed else b""

    def _add(self, key: str, span: Span, disk: int, *, empty: bool = False) -> None:
        whole = (disk, self._stream.disk_bytes_read)
        places = whole if self._stream.compressed and not empty else (span.start, span.end)
        self._sections.append(Section(key, span, places, empty))

    def _recover(self, error: str) -> bool:
        """Continue at the next list; tell if the bytes are a single object so far."""
        if self._fault is None:
            self._fault = (
                f"is damaged outside its lists, at byte {self._offset:,} or after: {error}"
            )
        self._buffer = self._behind + self._rest()
        self._offset -= len(self._behind)
        self._behind = b""
        tried = int(self._offset == self._recovered_at)
        while (match := _LIST.search(self._buffer, tried)) is None:
            tried = 0
            if _ANOTHER.search(self._buffer):
                return False
            self._drop(max(0, len(self._buffer) - _KEPT_BYTES))
            if not self._more():
                self._drop(len(self._buffer))
                return True
        if _ANOTHER.search(self._buffer, 0, match.start()):
            return False
        self._drop(match.start())
        self._recovered_at = self._offset
        self._start_parser()
        self._feed(self._prefix)
        return True


def _is_another(piece: bytes) -> bool:
    """Tell if an object ends in or before this piece, and another one starts."""
    return piece.lstrip(WHITESPACE).startswith(b"{") or _ANOTHER.search(piece) is not None


def _key_start(text: bytes) -> bytes:
    """Return the end of ``text`` that may be the start of a key."""
    last = text[-_KEPT_BYTES:]
    return last[max(map(last.rfind, (b",", b"{", b"}", b"[", b"]"))) + 1 :]
