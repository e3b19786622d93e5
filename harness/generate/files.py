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
#: Where both are still fast beside the making of the records.
GZIP_LEVEL = 4
ZSTD_LEVEL = 3


class Sink(Protocol):
    """What bytes are written to."""

    def write(self, data: bytes, /) -> int:
        """Write bytes, and return how many."""


@contextlib.contextmanager
def open_file(path: Path, compress: str) -> Iterator[Sink]:
    """Open a file to be written; one stream, with nothing of today's date or of this machine."""
    with path.open("wb") as raw:
        if compress == "gz":
            with gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as packed:
                yield packed
        elif compress == "zst":
            with zstd.ZstdFile(raw, "wb", level=ZSTD_LEVEL) as packed:
                yield packed
        else:
            yield raw
