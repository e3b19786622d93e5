"""Recognises formats other than JSON records by their first bytes, and advises on each."""

from __future__ import annotations

import re
from typing import NamedTuple

_DECOMPRESS = "decompress it first"
_AGAIN = "export the table again, as JSON"
# First bytes, what they are of, and what to do.
_MAGIC = (
    (b"\xff\xfe\0\0", "UTF-32 text", "convert it with `iconv -f UTF-32 -t UTF-8`"),
    (b"\0\0\xfe\xff", "UTF-32 text", "convert it with `iconv -f UTF-32 -t UTF-8`"),
    (b"\xff\xfe", "UTF-16 text", "convert it with `iconv -f UTF-16 -t UTF-8`"),
    (b"\xfe\xff", "UTF-16 text", "convert it with `iconv -f UTF-16 -t UTF-8`"),
    (b"\x1f\x8b", "compressed by gzip", "rename it to end in .json.gz or .jsonl.gz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "rename it to end in .json.zst or .jsonl.zst"),
    (b"\xfd7zXZ\0", "compressed by xz", "rename it to end in .json.xz or .jsonl.xz"),
    (b"BZh", "compressed by bzip2", "rename it to end in .json.bz2 or .jsonl.bz2"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", _DECOMPRESS),
    (b"\xff\x06\0\0sNaPpY", "compressed by snappy", _DECOMPRESS),
    (b"LZIP", "compressed by lzip", _DECOMPRESS),
    (b"PK\x03\x04", "a zip archive", "rename it to end in .zip"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"\0\x05\x16\x07", "an AppleDouble file of macOS", "remove it"),
    (b"PGDMP", "a dump of pg_dump", "restore it with pg_restore"),
    (b"SQLite format 3\0", "an SQLite database", _AGAIN),
    (b"PAR1", "a Parquet file", _AGAIN),
    (b"Obj\x01", "an Avro file", _AGAIN),
    (b"-----BEGIN PGP", "encrypted by PGP", "decrypt it first"),
    (b"age-encryption.org/", "encrypted by age", "decrypt it first"),
    (b"Salted__", "encrypted by OpenSSL", "decrypt it first"),
)
_TAR_AT = 257
_MARKUP = re.compile(rb"<(?:!doctype|html|head|body|\?xml|!--)", re.IGNORECASE)
_SQL = re.compile(rb"(?:--|/\*|(?:SET|INSERT|CREATE|COPY|BEGIN|DROP)\b)", re.IGNORECASE)
_CELL = rb'(?:"(?:[^"\n]|"")*"|[^"\n,;\t|{}\[\]]*)'
_CSV = re.compile(rb"%b(?:[,;\t|]%b)+\r?(?:\n|\Z)" % (_CELL, _CELL))
# So many bytes of UTF-16 without a mark have to be zero, one of two.
_UTF16_BYTES = 16
_ITEMS = {b"[": "lists", b'"': "strings", b"n": "nulls", b"t": "booleans", b"f": "booleans"}


class _Export(NamedTuple):
    """An export whose records are under a key: its fields, and a pattern that identifies it."""

    name: str
    fields: frozenset[str]
    sign: re.Pattern[bytes]


_EXPORTS = (
    _Export(
        "Django's dumpdata",
        frozenset({"model", "fields"}),
        re.compile(rb'"model"\s*:\s*"\w+\.\w+"'),
    ),
    _Export(
        "a JSON export of phpMyAdmin",
        frozenset({"type", "version", "comment"}),
        re.compile(rb'"type"\s*:\s*"header"'),
    ),
    _Export(
        'what pandas writes with orient="split"',
        frozenset({"columns", "data"}),
        re.compile(rb'"columns"\s*:\s*\['),
    ),
    _Export(
        "an export of Elasticsearch",
        frozenset({"_index", "_source"}),
        re.compile(rb'"_source"\s*:\s*\{'),
    ),
    _Export("an export of DynamoDB", frozenset({"Item"}), re.compile(rb'"Item"\s*:\s*\{')),
)


def foreign_format(start: bytes) -> tuple[str, str] | None:
    """Return the format of bytes that cannot be JSON, and advice; None: they may be JSON.

    Args:
        start: a file's first bytes, decompressed as its name says.
    """
    for magic, kind, advice in _MAGIC:
        if start.startswith(magic):
            return kind, advice
    for order, letter in (("LE", 0), ("BE", 3)):
        letters = start[letter:_UTF16_BYTES:4]
        others = [byte for n, byte in enumerate(start[:_UTF16_BYTES]) if n % 4 != letter]
        if len(letters) > 1 and all(letters) and not any(others):
            return "UTF-32 text", f"convert it with `iconv -f UTF-32{order} -t UTF-8`"
    even, odd = start[:_UTF16_BYTES:2], start[1:_UTF16_BYTES:2]
    for order, zeros, text in (("LE", odd, even), ("BE", even, odd)):
        if len(zeros) > 1 and not any(zeros) and all(text):
            return "UTF-16 text", f"convert it with `iconv -f UTF-16{order} -t UTF-8`"
    if start[_TAR_AT : _TAR_AT + 5] == b"ustar":
        return "a tar archive", "rename it to end in .tar"
    if _MARKUP.match(start):
        return "an HTML or XML page", _AGAIN
    return None


def unlike_records(start: bytes) -> tuple[str, str] | None:
    """Return the format of text without records, and advice; None: it is unknown."""
    if start.startswith(b"["):
        first = start[1:].lstrip()[:1]
        kind = _ITEMS.get(first, "numbers" if first in b"-0123456789" else "damaged")
        return f"a list whose items are {kind}, not objects", "export each row as an object"
    if _SQL.match(start):
        return "SQL", "run it with psql"
    if _CSV.match(start):
        return "CSV", f"{_AGAIN}, or load it with psql's \\copy"
    return None


def known_export(record: bytes, fields: frozenset[str], columns: frozenset[str]) -> str | None:
    """Return the export that a file's first record is from; None: it is a plain row.

    Args:
        record: the record.
        fields: its fields.
        columns: the columns of the table that would take it.
    """
    for export in _EXPORTS:
        if export.fields <= fields and not export.fields <= columns and export.sign.search(record):
            return export.name
    return None
