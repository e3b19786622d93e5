"""Object stores by fsspec: state, listing, byte ranges of one version, upload; all with retries.

Every coroutine runs in fsspec's one event loop, which is a thread of its own, so that any thread
may have several requests on their way. A store's own retries are switched off where that can be
done: attempts would multiply.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import tenacity

from restore.errors import BackupError
from restore.remote.failures import ChangedError, explain, is_transient
from restore.remote.path import EXTRAS, Info, RemotePath
from restore.startup import load_openssl

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future
    from pathlib import Path

# A request takes at most so long, an outage at most some 15 s; a restore that stops can be resumed.
TIMEOUT_S = 60.0
# A file is written in one request; a network may be slow, but no slower than this.
_SLOWEST_BYTES_S = 16_384
ATTEMPTS = 6
WAIT = tenacity.wait_random_exponential(multiplier=0.5, max=8)
_PREFERRED = {"http": "https", "ssh": "sftp", "gcs": "gs", "s3a": "s3"}


Listing = list[tuple[str, Info | None]]


class Store:
    """A store of which fsspec alone knows how to read; a version is a size and a time.

    Args:
        filesystem: fsspec's.
    """

    # What fsspec says of an object's version, the best first.
    version_keys: tuple[str, ...] = (
        "etag",
        "ETag",
        "mtime",
        "LastModified",
        "last_modified",
        "created",
    )

    # Whether a listing tells the version as a request for the object does.
    lists_versions = False

    def __init__(self, filesystem: Any) -> None:  # noqa: ANN401 - fsspec has no types
        self.filesystem = filesystem

    def info(self, path: RemotePath) -> Info:
        """Ask for the state of an object or a folder.

        Raises:
            FileNotFoundError: there is none.
            BackupError: the store does not answer, or refuses.
        """
        found: Info = self._wait(path, self._info)
        return found

    def list(self, path: RemotePath) -> Listing:
        """List a folder: names, and states as far as the listing tells them.

        Raises:
            BackupError: the store does not answer, or refuses.
        """
        found: Listing = self._wait(path, self._list)
        return found

    def read(self, path: RemotePath, start: int, end: int) -> Future[bytes]:
        """Begin to read a range of the version of an object that the path knows."""
        return self._submit(self._retried(path, self._whole_range, path, start, end))

    def put(self, path: RemotePath, local: Path) -> None:
        """Write a local file to the store; an object is there whole or not at all.

        Raises:
            BackupError: the store does not answer, or refuses.
        """
        timeout_s = TIMEOUT_S + local.stat().st_size / _SLOWEST_BYTES_S
        self._submit(self._retried(path, self._put, path, local, timeout_s=timeout_s)).result()

    def _wait(self, path: RemotePath, method: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - of any method
        return self._submit(self._retried(path, method, path, *arguments)).result()

    def _submit(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        from fsspec.asyn import get_loop  # noqa: PLC0415 - not in the base install

        return asyncio.run_coroutine_threadsafe(work, get_loop())

    async def _retried(
        self,
        path: RemotePath,
        method: Callable[..., Any],
        *arguments: Any,  # noqa: ANN401 - as above
        timeout_s: float | None = None,
    ) -> Any:  # noqa: ANN401 - as above
        async def once() -> Any:  # noqa: ANN401 - as above
            return await asyncio.wait_for(method(*arguments), timeout_s or TIMEOUT_S)

        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=WAIT,
            retry=tenacity.retry_if_exception(is_transient),
            reraise=True,
        )
        try:
            return await retrying(once)
        except FileNotFoundError:
            if method == self._info:
                raise
            raise explain(ChangedError("it is gone"), path) from None
        except Exception as error:
            raise explain(error, path) from error

    async def _call(self, name: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as above
        if self.filesystem.async_impl:
            return await getattr(self.filesystem, f"_{name}")(*arguments, **options)
        return await asyncio.to_thread(getattr(self.filesystem, name), *arguments, **options)

    def _plain(self, path: RemotePath) -> str:
        """Return a path as fsspec's methods take it."""
        plain: str = self.filesystem._strip_protocol(path.url)  # noqa: SLF001 - its documented hook
        return plain

    def _state(self, found: dict[str, Any]) -> Info:
        version = next((str(found[key]) for key in self.version_keys if found.get(key)), "")
        return Info(found["type"] == "directory", found.get("size") or 0, version.strip('"'))

    def _listed(self, found: dict[str, Any]) -> Info | None:
        state = self._state(found)
        is_sure = self.lists_versions or state.is_dir
        return state if is_sure else None

    async def _info(self, path: RemotePath) -> Info:
        return self._state(await self._call("info", self._plain(path)))

    async def _list(self, path: RemotePath) -> Listing:
        own = self._plain(path).strip("/")
        found = await self._call("ls", self._plain(path), detail=True)
        return [
            (each["name"].rstrip("/").rpartition("/")[2], self._listed(each))
            for each in found
            if each["name"].strip("/") != own  # a prefix may be an object itself
        ]

    async def _whole_range(self, path: RemotePath, start: int, end: int) -> bytes:
        data = await self._range(path, start, end)
        if len(data) != end - start:
            raise ConnectionError(f"{len(data):,} bytes came instead of {end - start:,}")
        return data

    async def _range(self, path: RemotePath, start: int, end: int) -> bytes:
        data: bytes = await self._call("cat_file", self._plain(path), start=start, end=end)
        if await self._info(path) != path.known:
            raise ChangedError
        return data

    async def _put(self, path: RemotePath, local: Path) -> None:
        await self._call("put_file", str(local), self._plain(path))


_stores: dict[tuple[str, str], Store] = {}
_lock = threading.Lock()


def open_store(path: RemotePath) -> Store:
    """Return the store of a path; one for each bucket or host.

    Raises:
        BackupError: its package is not installed.
    """
    key = path.scheme, path.user + path.place.partition("/")[0]
    with _lock:
        if key not in _stores:
            load_openssl()
            _stores[key] = _make(path)
        return _stores[key]


def _make(path: RemotePath) -> Store:
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - not in the base install

        from restore.remote import kinds  # noqa: PLC0415 - it needs fsspec's stores

        kind, options = kinds.KINDS.get(path.scheme, (Store, {}))
        url = f"{path.scheme}://{path.user}{path.place}"
        filesystem, _ = url_to_fs(url, skip_instance_cache=True, **options)
    except ImportError as error:
        raise BackupError(
            f"cannot read {path}: {path.scheme}:// needs the package {error.name}; pip install"
            f" 'restorebench[{EXTRAS[path.scheme]}]'"
        ) from error
    except Exception as error:
        raise explain(error, path) from error
    store: Store = kind(filesystem)
    return store
