"""Decompresses what gzip, zstd, xz and bzip2 wrote."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

# The endings of compressed files.
COMPRESSIONS = ("gz", "zst", "xz", "bz2")


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

        return lzma.LZMAFile(raw), (EOFError, lzma.LZMAError)
    if compression == "bz2":
        import bz2  # noqa: PLC0415

        return bz2.BZ2File(raw), (EOFError, OSError, ValueError)
    return raw, ()


def _zstd() -> ModuleType:
    """Import the Zstandard module only if it is needed."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415
    return zstd
