"""The files of a dataset, compressed or not."""

from __future__ import annotations

import contextlib
import gzip
import sys
from typing import TYPE_CHECKING, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIXES = {"none": ".json", "gz": ".json.gz", "zst": ".json.zst"}
#: At these levels both are fast compared with generating the records.
GZIP_LEVEL = 4
ZSTD_LEVEL = 3


class Sink(Protocol):
    """A target for bytes."""

    def write(self, data: bytes, /) -> int:
        """Write bytes, and return their number."""


@contextlib.contextmanager
def open_file(path: Path, compress: str) -> Iterator[Sink]:
    """Open a file for writing, as one stream without date or machine, so bytes are equal."""
    with path.open("wb") as raw:
        if compress == "gz":
            with gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as packed:
                yield packed
        elif compress == "zst":
            with zstd.ZstdFile(raw, "wb", level=ZSTD_LEVEL) as packed:
                yield packed
        else:
            yield raw
