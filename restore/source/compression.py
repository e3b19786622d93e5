"""Decompresses what gzip, zstd, xz and bzip2 wrote."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bz2 import BZ2Decompressor
    from collections.abc import Callable
    from lzma import LZMADecompressor
    from types import ModuleType

# The endings of compressed files.
COMPRESSIONS = ("gz", "zst", "xz", "bz2")
_READ_BYTES = io.DEFAULT_BUFFER_SIZE


def open_decompressed(
    raw: Any,  # noqa: ANN401 - a binary file
    compression: str | None,
) -> tuple[Any, tuple[type[Exception], ...]]:
    """Return a file of the decompressed bytes, and what reading it raises if it is damaged.

    Args:
        raw: the file.
        compression: one of ``COMPRESSIONS``; None: the file as it is.
    """
    if compression == "gz":
        import gzip  # noqa: PLC0415 - as below, most backups need none of these
        import zlib  # noqa: PLC0415

        return gzip.GzipFile(fileobj=raw), (EOFError, zlib.error, gzip.BadGzipFile)
    if compression == "zst":
        zstd = _zstd()
        return zstd.ZstdFile(raw), (EOFError, zstd.ZstdError)
    if compression == "xz":
        import lzma  # noqa: PLC0415

        return _joined(raw, lzma.LZMADecompressor), (EOFError, lzma.LZMAError)
    if compression == "bz2":
        import bz2  # noqa: PLC0415

        return _joined(raw, bz2.BZ2Decompressor), (EOFError, OSError, ValueError)
    return raw, ()


class _JoinedStreams(io.RawIOBase):
    """The decompressed bytes of a file of one or more compressed streams, as pbzip2 writes them.

    Zeros may follow a stream. What else follows is an error: ``bz2.BZ2File`` and ``lzma.LZMAFile``
    take it for the end of the file, also if it is the damaged header of another stream.

    Args:
        raw: the file.
        make: makes the decompressor of a stream.
    """

    def __init__(
        self,
        raw: Any,  # noqa: ANN401 - a binary file
        make: Callable[[], BZ2Decompressor | LZMADecompressor],
    ) -> None:
        self._raw = raw
        self._make = make
        self._decompressor = make()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - a writable buffer
        """Read into a buffer; return how many bytes, 0 at the end.

        Raises:
            EOFError: a stream has no end.
        """
        part = b""
        while not part:
            data = b""
            if self._decompressor.eof:
                data = self._decompressor.unused_data.lstrip(b"\0")
                while not data:
                    more = self._raw.read(_READ_BYTES)
                    if not more:
                        return 0
                    data = more.lstrip(b"\0")
                self._decompressor = self._make()
            elif self._decompressor.needs_input:
                data = self._raw.read(_READ_BYTES)
                if not data:
                    raise EOFError("a compressed stream in it has no end")
            part = self._decompressor.decompress(data, len(buffer))
        buffer[: len(part)] = part
        return len(part)


def _joined(
    raw: Any,  # noqa: ANN401 - a binary file
    make: Callable[[], BZ2Decompressor | LZMADecompressor],
) -> io.BufferedReader:
    return io.BufferedReader(_JoinedStreams(raw, make), _READ_BYTES)


def _zstd() -> ModuleType:
    """Import the Zstandard module only if it is needed."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415
    return zstd
