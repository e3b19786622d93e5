"""JSON that COPY escaped in its text format, or that psql set as a table or quoted as CSV."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from restore.source.formats.cursor import top_records
from restore.source.formats.format import DamagedError, FormatError, FoundRecord
from restore.source.formats.refused import Refused
from restore.source.formats.rows import one_line
from restore.source.formats.start import whole_members
from restore.source.json_values import DECODE_ERRORS, check_value, value_end

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import msgspec

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns

_AGAIN = 'export it with psql -At -c "SELECT row_to_json(t) FROM table_name t"'
# Escapes that COPY does not write: the backslash is JSON's. Pairs of backslashes are taken out.
_NOT_OF_COPY = re.compile(rb"\\[^btnvfrN]")
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
# As long as they are in the file, to keep offsets; outside strings they are white space.
_UNESCAPED = {b"\\": b"\\", b"n": b" \n", b"t": b" \t", b"r": b" \r", b"N": b"  "}
_UNESCAPED_BYTE = re.compile(rb"[\\\n\t\r]")
_PAIR_IN_TEXT = re.compile(rb'(?<![\\"])(?:\\\\)+(?!\\)')
_FOOTER = re.compile(rb"^\((\d+) [^()\r\n]+\)[ \r\n]*\Z", re.MULTILINE)
_FOOTER_BYTES = 200
_LARGEST_HEADER_BYTES = 1 << 20
_BODY = re.compile(rb"^ *[\[{]", re.MULTILINE)
_TO_BLANKS = bytes(byte if byte in b"\r\n" else ord(" ") for byte in range(256))
_CONTINUED = re.compile(rb"\+(?=\r?\n)")
_FUNCTION = rb"(?:row_to_json|array_to_json|to_jsonb?|jsonb?_\w+)"
_HEADER = re.compile(
    rb'[^\r\n{}\[\]":,]++\r?\n-+(?:\r?\n(?: *[\[{]|\(0 )|\Z)|%b *\r?\n *[\[{]' % _FUNCTION
)
_CONTINUED_LINE = re.compile(rb"[\[{][^\n]*\+\r?\n")
_CSV = re.compile(rb'(?:%b\r?\n)?"[\[ ]*\{ ?""' % _FUNCTION)
_FRAMED = re.compile(
    rb"-\[ RECORD 1 \]|\+-+\+\r?\n\|[^\n]*\r?\n\+-+\+\r?\n\| *[\[{]"
    rb"|[^\n]+\n-+\r?\n *[\[{][^\n]*\.\r?\n\."  # a value that is wrapped
)


class _Unescaped:
    """A stream without the escapes of COPY's text format; only pairs of backslashes get shorter.

    ``has_white``: some of the escapes are of white space. ``is_list``: it begins with a bracket.
    """

    def __init__(self, stream: ByteSource) -> None:
        self.has_white = False
        self.is_list: bool | None = None
        self._stream = stream
        self._held = b""

    def read(self, size: int, /) -> bytes:
        """Read the next part, of up to ``size`` bytes."""
        while part := self._stream.read(size):
            part = self._held + part
            if self.is_list is None:
                self.is_list = part.lstrip().startswith(b"[")
            kept = len(part) - (len(part) - len(part.rstrip(b"\\"))) % 2
            self._held = part[kept:]
            if kept:
                self.has_white = self.has_white or _has_odd_run(part[:kept])
                return _unescaped(part[:kept])
        rest, self._held = self._held, b""
        return rest


def _is_no_list(value: msgspec.Raw) -> bool:
    return not bytes(value).startswith(b"[")


def _without_pairs(text: bytes) -> bytes:
    return text.replace(b"\\\\", b"")


def _has_odd_run(text: bytes) -> bool:
    """Tell if a run of backslashes is odd; to replace them is faster than any search."""
    return b"\\" in _without_pairs(text)


def _unescaped(text: bytes) -> bytes:
    if not _has_odd_run(text):
        return text.replace(b"\\\\", b"\\")
    return _ESCAPE.sub(lambda found: _UNESCAPED.get(found[1], found[0]), text)


class _CopyText:
    name = "psql-copy"
    title = "JSON in COPY's text format, which doubles every backslash"
    recognised_by = "records on one line that are sound only if each `\\\\` is read as `\\`"
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        """Tell if a file may be of this format; ``confirm`` reads it whole."""
        if (
            b"\\" not in start
            or start[:1] not in (b"{", b"[")
            or _NOT_OF_COPY.search(_without_pairs(start))
        ):
            return False
        line, line_end, _ = start.partition(b"\n")
        text = _unescaped(line)
        if line_end and value_end(text, 0, len(text)) is None:
            return False
        if line.startswith(b"{") and not any(map(_is_no_list, whole_members(text).values())):
            return False  # an object of lists: no row is that
        return _is_copy_text(_Unescaped(io.BytesIO(start))) is not False

    def confirm(self, stream: ByteSource) -> bool:
        """Tell if a whole file is of this format, after ``detect`` said so.

        Raises:
            FormatError: each of its records is sound with and without its backslashes halved.
        """
        source = _Unescaped(stream)
        is_copy = _is_copy_text(source)
        if is_copy is None and source.is_list:
            return False  # COPY breaks the lines of a list, and so escapes the breaks
        if is_copy is None:
            raise FormatError(
                "COPY may have doubled each of its backslashes, or they are as they were;"
                f" {_AGAIN}, or pass --format {self.name} if COPY wrote it, --format records if not"
            )
        return is_copy

    def records(
        self,
        stream: ByteSource,
        tables: Mapping[str, TableColumns] | None,  # noqa: ARG002 - as in the protocol
    ) -> Iterator[FoundRecord]:
        """Yield the records without COPY's escapes."""
        halved = 0
        for record in top_records(_Unescaped(stream)):
            yield FoundRecord(None, one_line(record.raw), record.offset + halved)
            halved += record.raw.count(b"\\")


def _is_copy_text(source: _Unescaped) -> bool | None:
    """Tell if COPY wrote these records; None: it may have, or not.

    A record that is sound in one reading only decides. If there is none, escapes within texts of
    which some are escaped backslashes, and all others JSON's, are no accident.
    """
    has_letters = has_pairs = is_damaged = False
    try:
        for record in top_records(source):
            data = record.raw
            if _UNESCAPED_BYTE.search(data) is None:
                continue
            is_copy = _is_sound(data)
            is_plain = _is_sound(_escaped(data))
            if is_copy is not is_plain:
                return is_copy
            if not is_copy:
                is_damaged = True
                continue
            has_letters = has_letters or _has_odd_run(data)
            has_pairs = has_pairs or _PAIR_IN_TEXT.search(data) is not None
    except FormatError:
        is_damaged = True
    if is_damaged and not (has_letters or has_pairs):
        return False
    # White space that is escaped between sound records: json_agg breaks the line there.
    is_copy = not is_damaged and (source.has_white or (has_letters and has_pairs))
    return is_copy or None


def _escaped(data: bytes) -> bytes:
    """Return a record as COPY's text format has it, the inverse of ``_unescaped``."""
    data = data.replace(b"\\", b"\\\\")
    for letter, white in ((b"\\n", b" \n"), (b"\\t", b" \t"), (b"\\r", b" \r")):
        data = data.replace(white, letter)
    return data


def _is_sound(data: bytes) -> bool:
    try:
        check_value(data)
    except DECODE_ERRORS:
        return False
    return True


class _Unaligned:
    """A stream in which blanks replace what psql set around the values: no offset changes.

    ``has_heading``: the values stand below a heading; ``rows``: how many rows the last line tells
    of; None: it tells nothing.
    """

    def __init__(self, stream: ByteSource) -> None:
        self.has_heading = True
        self.rows: int | None = None
        self._stream = stream
        self._held = b""
        self._in_header = True

    def read(self, size: int, /) -> bytes:
        """Read the next part; the last bytes of the file are held until it ends."""
        while part := self._stream.read(size):
            self._held += part
            if self._in_header and not self._blank_header():
                continue
            end = len(self._held) - _FOOTER_BYTES
            # A sign and its line end belong together.
            sign = self._held[max(end - 2, 0) : max(end, 0)]
            end -= len(sign) if sign == b"+\r" else sign.endswith(b"+")
            if end > 0:
                text, self._held = self._held[:end], self._held[end:]
                return _CONTINUED.sub(b" ", text)
        rest, self._held = self._held, b""
        if footer := _FOOTER.search(rest):
            self.rows = int(footer[1])
            start = 0 if self._in_header else footer.start()
            rest = rest[:start] + rest[start:].translate(_TO_BLANKS)
        return _CONTINUED.sub(b" ", rest)

    def _blank_header(self) -> bool:
        """Blank all before the first line that begins with a bracket, if that was read already."""
        body = _BODY.search(self._held)
        if body is None and len(self._held) > _LARGEST_HEADER_BYTES:
            raise FormatError(f"it is set too wide to be read; {_AGAIN}")
        if body is not None:
            start = body.end() - 1
            self.has_heading = bool(self._held[:start].strip())
            self._held = self._held[:start].translate(_TO_BLANKS) + self._held[start:]
            self._in_header = False
        return body is not None


class _Table:
    name = "psql-table"
    title = "what psql prints as a table"
    recognised_by = "a heading above JSON, or a `+` where a value goes on in the next line"
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        return (_HEADER.match(start) or _CONTINUED_LINE.match(start)) is not None

    def records(
        self,
        stream: ByteSource,
        tables: Mapping[str, TableColumns] | None,  # noqa: ARG002 - as in the protocol
    ) -> Iterator[FoundRecord]:
        """Yield the records of the values.

        Raises:
            FormatError: lines are missing at the end.
        """
        source = _Unaligned(stream)
        count = 0
        for record in top_records(source):
            count += 1
            yield FoundRecord(None, one_line(record.raw), record.offset)
        if source.has_heading and (source.rows is None or count < source.rows):
            raise DamagedError("the file is truncated: rows that its last line counts are missing")


FORMAT = _CopyText()
TABLE = _Table()
CSV = Refused(
    "psql-csv",
    "JSON quoted as CSV",
    'records in quotes, their own quotes doubled: `"{""id"":1}"`',
    _AGAIN,
    _CSV.match,
)
FRAMED = Refused(
    "psql-framed",
    "what psql prints expanded, wrapped or with borders",
    "`-[ RECORD 1 ]` or a frame around JSON",
    _AGAIN,
    _FRAMED.match,
)
