"""An object as a file: blocks of it are fetched ahead while the one before them is decoded."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

from restore.errors import BackupError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from restore.remote.path import Info, RemotePath

# A file is opened several times to be recognised and sampled: its start is fetched once.
_HEAD_BYTES = 1 << 18
_MOST_HEADS = 32
# Blocks, and how many are on their way, grow as long as reading goes on from one to the next, so
# that a look at a file costs little. Measured with a server on loopback that holds each request
# for 50 ms, on two busy cores, reading 96 MB: without read-ahead 5 MB/s; 4 blocks of 1 MiB ahead
# 69; 4 of 2 MiB 92, and 141 in two shards; 4 of 4 MiB 126 and 149, for twice the memory. With
# 20 ms: 162, 242 and 214 MB/s. Two connections restore some 100 MB/s. A file holds 10 MiB at most.
_LARGEST_BYTES = 1 << 21
_AHEAD = 4


class RemoteFile(io.RawIOBase):
    """A version of an object, opened for reading.

    Args:
        path: the object; the version that it knows is read.
        end: nothing from there on will be read; None: up to its end.

    Raises:
        BackupError: it cannot be read, or is not there any more.
    """

    def __init__(self, path: RemotePath, end: int | None = None) -> None:
        super().__init__()
        try:
            self.size = path.stat().size_bytes
        except FileNotFoundError:
            raise BackupError(f"cannot read {path}: it does not exist; check the URL") from None
        self._path = path
        self._store = path.store()
        self._end = self.size if end is None else min(end, self.size)
        self._position = self._start = 0
        self._block = memoryview(b"")
        self._grown, self._depth = _HEAD_BYTES, 0
        self._ahead: deque[tuple[int, Future[bytes]]] = deque()
        self._ahead_end = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that reading may begin anywhere."""
        return True

    def tell(self) -> int:
        """Return where reading goes on."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go on reading elsewhere."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Read up to ``size`` bytes; none at the end.

        Raises:
            BackupError: the object cannot be read, or has changed.
        """
        if size < 0:
            return self.readall()
        if self._position >= self.size or not size:
            return b""
        place = self._position - self._start
        if not 0 <= place < len(self._block):
            self._fetch(size)
            place = self._position - self._start
        part = bytes(self._block[place : place + size])
        self._position += len(part)
        return part

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - Python 3.11 has no Buffer
        """Read into a buffer; return how many bytes."""
        view = memoryview(buffer).cast("B")
        part = self.read(len(view))
        view[: len(part)] = part
        return len(part)

    def close(self) -> None:
        """Close it; what is on its way is not waited for."""
        self._forget_ahead()
        self._block = memoryview(b"")
        super().close()

    def _fetch(self, wanted: int) -> None:
        """Fetch the block at the present position, and begin to fetch those after it."""
        goes_on = len(self._block) > 0 and self._position == self._start + len(self._block)
        if not self._ahead or self._ahead[0][0] != self._position:
            self._forget_ahead()
            self._ahead_end = self._position
            if not goes_on:
                self._grown, self._depth = _HEAD_BYTES, 0
            self._begin(max(self._grown, min(wanted, _LARGEST_BYTES)))
        self._start, future = self._ahead.popleft()
        # The next ones are on their way while this one is waited for.
        self._depth = min(self._depth + 1, _AHEAD) if goes_on else 0
        while len(self._ahead) < self._depth and self._ahead_end < self._end:
            self._grown = min(2 * self._grown, _LARGEST_BYTES)
            self._begin(self._grown)
        self._block = memoryview(future.result())

    def _begin(self, size: int) -> None:
        """Begin to fetch a block at the end of those that are on their way."""
        start = self._ahead_end
        # What is behind the end is fetched only if it is asked for all the same.
        limit = self._end if start < self._end else self.size
        if start == 0:
            size, limit = _HEAD_BYTES, self.size
        end = min(start + size, limit)
        read = _heads.read if start == 0 else self._store.read
        self._ahead.append((start, read(self._path, start, end)))
        self._ahead_end = end

    def _forget_ahead(self) -> None:
        while self._ahead:
            start, future = self._ahead.popleft()
            if start:  # others may wait for the start
                future.cancel()


class _Heads:
    """The starts of the files that were opened last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[str, Info], Future[bytes]] = OrderedDict()

    def read(self, path: RemotePath, start: int, end: int) -> Future[bytes]:
        """Begin to read the start of a file, unless it is held or on its way."""
        key = path.url, path.stat()
        with self._lock:
            future = self._held.get(key)
            if future is None or (future.done() and future.exception() is not None):
                future = self._held[key] = path.store().read(path, start, end)
            self._held.move_to_end(key)
            while len(self._held) > _MOST_HEADS:
                self._held.popitem(last=False)
            return future


_heads = _Heads()
