"""Kinds of stores: how each identifies the version of an object, and asks for a range of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from restore.remote.failures import ChangedError, NoRangesError
from restore.remote.path import Info
from restore.remote.stores import Listing, Store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from restore.remote.path import RemotePath

# What has a meaning in a URL.
_SAFE = "%:/?#[]@!$&'()*+,;="
_OK, _PARTIAL, _NOT_FOUND, _GONE, _CHANGED, _NO_SUCH_RANGE = 200, 206, 404, 410, 412, 416


class S3Store(Store):
    """S3 and what speaks its protocol: each request names the ETag that it expects."""

    version_keys = ("ETag",)
    lists_versions = True

    def __init__(self, filesystem: Any) -> None:  # noqa: ANN401 - fsspec has no types
        super().__init__(filesystem)
        filesystem.retries = 1

    async def _range(self, path: RemotePath, start: int, end: int) -> bytes:
        bucket, key, _ = self.filesystem.split_path(self._plain(path))
        version = _version(path)
        try:
            answer = await self.filesystem._call_s3(  # noqa: SLF001 - as its own files do
                "get_object",
                Bucket=bucket,
                Key=key,
                Range=f"bytes={start}-{end - 1}",
                IfMatch=f'"{version}"',
            )
        except OSError as error:
            response = getattr(error.__cause__, "response", {})
            if response.get("ResponseMetadata", {}).get("HTTPStatusCode") == _CHANGED:
                raise ChangedError from error
            raise
        async with answer["Body"] as body:
            data: bytes = await body.read()
        if answer["ETag"].strip('"') != version:  # a server that knows no If-Match
            raise ChangedError
        return data


class GcsStore(Store):
    """Google Cloud Storage: each request is for one generation of the object."""

    version_keys = ("generation",)
    lists_versions = True

    async def _range(self, path: RemotePath, start: int, end: int) -> bytes:
        data: bytes = await self._call(
            "cat_file", self._plain(path), start=start, end=end, generation=_version(path)
        )
        return data


class AzureStore(Store):
    """Azure Blob Storage: each request names the ETag that it expects."""

    version_keys = ("etag",)
    lists_versions = True

    async def _range(self, path: RemotePath, start: int, end: int) -> bytes:
        from azure.core import MatchConditions  # noqa: PLC0415 - only where this store is used
        from azure.core.exceptions import ResourceModifiedError  # noqa: PLC0415

        container, blob, _ = self.filesystem.split_path(self._plain(path))
        client = self.filesystem.service_client.get_blob_client(container=container, blob=blob)
        try:
            async with client:
                answer = await client.download_blob(
                    offset=start,
                    length=end - start,
                    etag=f'"{_version(path)}"',
                    match_condition=MatchConditions.IfNotModified,
                )
                data: bytes = await answer.readall()
        except ResourceModifiedError as error:
            raise ChangedError from error
        return data


class HttpStore(Store):
    """A web server that sends byte ranges, or a signed URL of an object store."""

    def _url(self, path: RemotePath) -> Any:  # noqa: ANN401 - yarl's
        """Return a URL that is sent as it was given: a signature may be of its very letters."""
        return self.filesystem.encode_url(quote(path.url, safe=_SAFE))

    async def _info(self, path: RemotePath) -> Info:
        session = await self.filesystem.set_session()
        async with session.get(self._url(path), headers=_headers(0, 1)) as answer:
            if answer.status in {_NOT_FOUND, _GONE}:
                raise FileNotFoundError(str(path))
            if answer.url.path.endswith("/"):  # servers redirect to it
                return Info(is_dir=True)
            if answer.status == _NO_SUCH_RANGE:  # nothing is in it
                return Info(is_dir=False, size_bytes=0, version=_http_version(answer.headers))
            answer.raise_for_status()
            if answer.status == _OK and answer.headers.get("Content-Length") != "0":
                raise NoRangesError
            return _state(answer.headers)

    async def _list(self, path: RemotePath) -> Listing:
        folder = f"{path.scheme}://{path.user}{path.place}/"
        found = await self.filesystem._ls_real(folder, detail=False)  # noqa: SLF001 - never cached
        names = {url.removeprefix(folder).partition("?")[0] for url in found}
        return [
            (name.rstrip("/"), Info(is_dir=True) if name.endswith("/") else None)
            for name in sorted(names)
            if name.strip("/") and "/" not in name.rstrip("/")
        ]

    async def _range(self, path: RemotePath, start: int, end: int) -> bytes:
        version = _version(path)
        headers = _headers(start, end)
        if version.startswith('"'):  # a weak one never matches, see RFC 9110, 13.1.1
            headers["If-Match"] = version
        session = await self.filesystem.set_session()
        async with session.get(self._url(path), headers=headers) as answer:
            if answer.status == _CHANGED:
                raise ChangedError
            if answer.status == _NOT_FOUND:
                raise FileNotFoundError(str(path))
            if answer.status == _OK:
                raise NoRangesError
            answer.raise_for_status()
            if _state(answer.headers) != path.known:
                raise ChangedError
            data: bytes = await answer.read()
        return data


class SftpStore(Store):
    """A server that is asked by SFTP; a version is a size and a time, in seconds."""

    async def _range(self, path: RemotePath, start: int, end: int) -> bytes:
        from sshfs.utils import wrap_exceptions  # noqa: PLC0415 - only where this store is used

        plain = self._plain(path)

        @wrap_exceptions  # type: ignore[untyped-decorator] # it has no types
        async def read() -> tuple[bytes, Any]:
            # Its own cat_file reads all of a file.
            async with (
                self.filesystem._pool.get() as channel,  # noqa: SLF001 - as above
                channel.open(plain, "rb") as file,
            ):
                return await file.read(end - start, start), await file.stat()

        data, attributes = await read()
        found = self.filesystem._decode_attributes(attributes)  # noqa: SLF001 - as above
        if self._state(found) != path.known:
            raise ChangedError
        return bytes(data)

    async def _put(self, path: RemotePath, local: Path) -> None:
        """Write beside the file, then rename: a transfer that is cut leaves no half of one."""
        plain = self._plain(path)
        part = f"{plain}.part"
        await self._call("put_file", str(local), part)
        await self._call("mv", part, plain)


def _version(path: RemotePath) -> str:
    return path.stat().version  # known: nothing is read of an object that was not found


def _headers(start: int, end: int) -> dict[str, str]:
    return {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}


def _http_version(headers: Mapping[str, str]) -> str:
    return headers.get("ETag") or headers.get("Last-Modified") or ""


def _state(headers: Mapping[str, str]) -> Info:
    """Return the state of a file by the answer to a range request."""
    size = headers.get("Content-Range", "").rpartition("/")[2]
    return Info(is_dir=False, size_bytes=int(size or 0), version=_http_version(headers))


# A request for each of the blocks that are read ahead, in each of the shards, at a time.
_CONNECTIONS = 64
_UNCACHED: dict[str, Any] = {"use_listings_cache": False}
_S3 = _UNCACHED | {
    "config_kwargs": {"retries": {"total_max_attempts": 1}, "max_pool_connections": _CONNECTIONS}
}
# Proxies of the environment, and .netrc; what is escaped in a URL stays so.
_HTTP = _UNCACHED | {"client_kwargs": {"trust_env": True}, "encoded": True}
_SSH = {"known_hosts": ()}  # those of the user; by itself sshfs trusts every host
KINDS: dict[str, tuple[type[Store], dict[str, Any]]] = {
    **dict.fromkeys(("s3", "s3a"), (S3Store, _S3)),
    **dict.fromkeys(("gs", "gcs"), (GcsStore, _UNCACHED)),
    **dict.fromkeys(("az", "abfs", "abfss"), (AzureStore, _UNCACHED)),
    **dict.fromkeys(("http", "https"), (HttpStore, _HTTP)),
    **dict.fromkeys(("sftp", "ssh"), (SftpStore, _SSH)),
}
