"""Reads the records of a backup exactly: numbers keep their digits, and nothing is repaired."""

from __future__ import annotations

import bz2
import codecs
import gzip
import json
import lzma
import re
import sys
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from harness.model.errors import InputError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ENDINGS = (".json", ".jsonl", ".ndjson")
_OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": zstd.open,
}
_CHUNK_BYTES = 1 << 20

# A value of a file; numbers are ``Number``.
Json: TypeAlias = "dict[str, Json] | list[Json] | str | bool | None"

# Between records: white space, commas, brackets of lists, record separators, byte order marks.
_BETWEEN = re.compile(r"[ \t\r\n,\[\]\x1e\ufeff]*")
_SPACES = " \t\r\n\x1e\ufeff"
_SPACE = re.compile(f"[{_SPACES}]*")
_PUNCTUATION = re.compile(f"[{_SPACES},:]*")


class Number(str):
    """A number as it is written in the file."""

    __slots__ = ()


class Special(str):
    """A bare ``NaN``, ``Infinity`` or ``-Infinity``, as Python's ``json.dumps`` writes them."""

    __slots__ = ()


class Source(NamedTuple):
    """A list of records: a file, or one of the lists of a file that holds several.

    ``key`` is the list's name in the file; None if the file is the list.
    """

    name: str
    path: Path
    key: str | None = None


class Record(NamedTuple):
    """An item of a list, the byte of the decompressed file at which it begins, and its text."""

    value: Json
    offset: int
    text: str


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Special)


def sources(backup: Path) -> list[Source]:
    """Return the lists of records of a backup: a folder of table files, or one file.

    Raises:
        InputError: there are none, or a file is of a kind that is not read here.
    """
    files = [backup] if backup.is_file() else sorted(backup.iterdir())
    found = [source for path in files if path.is_file() for source in _lists(path)]
    if not found:
        raise InputError(
            f"{backup} has no table files ({', '.join(ENDINGS)}, also compressed); name a folder "
            "that has, or convert the export"
        )
    return found


def compression(path: Path) -> str:
    """Return how a file is compressed: the ending without its dot, or ``none``."""
    return path.suffix[1:] if path.suffix in _OPENERS else "none"


def open_file(path: Path) -> IO[bytes]:
    """Open a file for reading its decompressed bytes."""
    opener = _OPENERS.get(path.suffix)
    return path.open("rb") if opener is None else cast("IO[bytes]", opener(path))


def records(source: Source) -> Iterator[Record]:
    """Yield the items of a list in order; those that are no objects too.

    Raises:
        InputError: the file is damaged.
    """
    key = source.key or _envelope(source.path)
    if key is None:
        yield from _stream(source.path, _BETWEEN)
    else:
        yield from _members(source.path, key)


def _lists(path: Path) -> list[Source]:
    """Return the lists of a file; none if it is not a table file."""
    name = path.name.removesuffix(path.suffix) if path.suffix in _OPENERS else path.name
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), None)
    if ending is None or name.startswith("."):
        return []
    stem = name[: -len(ending)]
    if ending != ".json" or not _is_object(path):
        return [Source(stem, path)]
    whole = _whole(path)
    keys = [key for key, value in whole.items() if isinstance(value, list)]
    match keys:
        case []:
            raise InputError(f"{path} holds an object without a list of records; leave it out")
        case [_]:
            return [Source(stem, path)]
        case _:
            return [Source(key, path, key) for key in keys]


def _envelope(path: Path) -> str | None:
    """Return the key of the one list that a file wraps; None if the file is the list."""
    if path.name.lower().split(".")[1:2] != ["json"] or not _is_object(path):
        return None
    return next(key for key, value in _whole(path).items() if isinstance(value, list))


def _is_object(path: Path) -> bool:
    """Return whether a file is one object, and not the first of many records."""
    with open_file(path) as file:
        start = file.read(_CHUNK_BYTES).decode(errors="replace")
    if not start[cast("re.Match[str]", _SPACE.match(start)).end() :].startswith("{"):
        return False
    values = _stream(path, _SPACE)
    first = next(values, None)
    return first is not None and isinstance(first.value, dict) and next(values, None) is None


def _whole(path: Path) -> dict[str, Json]:
    """Read a file that is one object."""
    return cast("dict[str, Json]", _DECODER.decode(_text(path).strip(_SPACES)))


def _text(path: Path) -> str:
    try:
        with open_file(path) as file:
            return file.read().decode()
    except (ValueError, OSError, EOFError) as error:
        raise _damaged(path, str(error)) from error


def _members(path: Path, wanted: str) -> Iterator[Record]:
    """Yield the items of the list under a key of an object, which was read before."""
    text, start = _text(path), 0
    start = _skip(text, start) + len("{")
    while text[start := _skip(text, start)] != "}":
        key, end = _DECODER.raw_decode(text, start)
        start = _skip(text, end)
        if key != wanted or text[start] != "[":
            _, start = _DECODER.raw_decode(text, start)
            continue
        offset, start, counted = len(text[: start + 1].encode()), start + 1, start + 1
        while text[start := _skip(text, start)] != "]":
            value, end = _DECODER.raw_decode(text, start)
            offset += len(text[counted:start].encode())
            yield Record(value, offset, text[start:end])
            offset += len(text[start:end].encode())
            start = counted = end
        return


def _skip(text: str, start: int) -> int:
    """Return where the next token begins: behind white space, commas and colons."""
    return cast("re.Match[str]", _PUNCTUATION.match(text, start)).end()


def _stream(path: Path, between: re.Pattern[str]) -> Iterator[Record]:
    """Yield the values that follow each other in a file, in bounded memory."""
    decode = codecs.getincrementaldecoder("utf-8")().decode
    buffer, start, offset, size, is_end = "", 0, 0, _CHUNK_BYTES, False
    with open_file(path) as file:
        while True:
            before, start = start, cast("re.Match[str]", between.match(buffer, start)).end()
            offset += len(buffer[before:start].encode())
            # A value that ends with the buffer may go on: a number does not say where it ends.
            if start < len(buffer):
                try:
                    value, end = _DECODER.raw_decode(buffer, start)
                except json.JSONDecodeError as error:
                    if is_end:
                        raise _damaged(path, f"{error.msg} near its end or before") from error
                else:
                    if is_end or end < len(buffer):
                        text = buffer[start:end]
                        yield Record(value, offset, text)
                        offset += len(text.encode())
                        start, size = end, _CHUNK_BYTES
                        continue
            if is_end:
                return
            try:
                chunk = file.read(size)
                buffer, start = buffer[start:] + decode(chunk, final=not chunk), 0
            except (ValueError, OSError, EOFError) as error:
                raise _damaged(path, str(error)) from error
            is_end, size = not chunk, size * 2


def _damaged(path: Path, why: str) -> InputError:
    return InputError(
        f"{path} is damaged ({why}); which of its records can be restored cannot be decided "
        "independently: adopt a sound backup"
    )
