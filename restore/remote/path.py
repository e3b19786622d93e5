"""Paths of a backup, local or remote; a remote one is read as ``pathlib.Path`` is, without fsspec.

fsspec is imported with the first request: a restore of local files neither needs nor imports it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from restore.errors import BackupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.remote.stores import Store
    from restore.remote.stream import RemoteFile

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9]*)://(?P<rest>.*)", re.DOTALL | re.IGNORECASE)
# Holds, as JSON, URLs with secrets by their forms without, which the command line shows.
HIDDEN_URLS = "RESTORE_HIDDEN_URLS"
# Schemes whose URLs may name a user and a password before the host.
_WITH_USER = frozenset({"http", "https", "sftp", "ssh"})
_WITH_QUERY = frozenset({"http", "https"})
# The extra of this distribution that has what a scheme needs; ``memory`` is fsspec's own.
EXTRAS = {
    **dict.fromkeys(("s3", "s3a"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "azure"),
    **dict.fromkeys(("http", "https"), "http"),
    **dict.fromkeys(("sftp", "ssh"), "sftp"),
    "memory": "http",
}


class Info(NamedTuple):
    """The state of an object.

    Args:
        is_dir: it is a folder, or a prefix of objects.
        size_bytes: its size.
        version: identifies its content: its ETag, its generation, or its time.
    """

    is_dir: bool
    size_bytes: int = 0
    version: str = ""

    @property
    def st_size(self) -> int:
        """Its size, as in ``os.stat_result``."""
        return self.size_bytes

    @property
    def st_mtime_ns(self) -> int:
        """No time: the version says more."""
        return 0


@dataclass(frozen=True, slots=True, order=True)
class RemotePath:
    """An object, or a folder of objects, in a store.

    ``str`` shows no secret: neither a password nor a signed query. It can be pickled; credentials
    of the environment are not part of it.

    Args:
        scheme: the store's kind: ``s3``.
        place: bucket or host, and path.
        user: ``user:password@`` of a URL that has them.
        query: the query of a URL, ``?`` included; it may be a signature.
        known: its state when it was listed or first asked for; every read is of this version.
    """

    scheme: str
    place: str
    user: str = field(default="", repr=False, compare=False)
    query: str = field(default="", repr=False, compare=False)
    known: Info | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        user = self.user.partition(":")[0].rstrip("@")
        shown = f"{user}@" if user and self.scheme in {"sftp", "ssh"} else ""
        return f"{self.scheme}://{shown}{self.place}"

    def __truediv__(self, name: str) -> RemotePath:
        return replace(self, place=f"{self.place}/{name}", known=None)

    @property
    def url(self) -> str:
        """The URL with its secrets: for requests alone."""
        return f"{self.scheme}://{self.user}{self.place}{self.query}"

    @property
    def name(self) -> str:
        """The last part of its path."""
        name = self.place.rpartition("/")[2]
        if self.scheme not in _WITH_QUERY:
            return name
        from urllib.parse import unquote  # noqa: PLC0415 - local restores have none

        return unquote(name)

    @property
    def suffix(self) -> str:
        """The ending of its name: ``.json``."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> RemotePath:
        """The folder that it is in."""
        return replace(self, place=self.place.rpartition("/")[0] or self.place, known=None)

    def with_suffix(self, suffix: str) -> RemotePath:
        """Return it with another ending."""
        return self.parent / f"{PurePosixPath(self.name).stem}{suffix}"

    def absolute(self) -> RemotePath:
        """Return it: a URL is always absolute."""
        return self

    def fresh(self) -> RemotePath:
        """Return it without what is known of it, to ask the store again."""
        return replace(self, known=None)

    def store(self) -> Store:
        """Return the store that it is in.

        Raises:
            BackupError: the store's package is not installed.
        """
        from restore.remote.stores import open_store  # noqa: PLC0415 - local restores have none

        return open_store(self)

    def stat(self) -> Info:
        """Return its state; the store is asked once.

        Raises:
            FileNotFoundError: there is no such object.
            BackupError: the store does not answer, or refuses.
        """
        if self.known is None:
            object.__setattr__(self, "known", self.store().info(self))
        assert self.known is not None  # noqa: S101 - for the type checker
        return self.known

    def exists(self) -> bool:
        """Tell if there is such an object or folder."""
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        """Tell if it is a folder."""
        return self.exists() and self.stat().is_dir

    def is_file(self) -> bool:
        """Tell if it is an object."""
        return self.exists() and not self.stat().is_dir

    def iterdir(self) -> Iterator[RemotePath]:
        """Yield the paths in the folder, with their states if the listing has them."""
        for name, info in self.store().list(self):
            yield replace(self / name, known=info)

    def open(self, mode: str = "rb", end: int | None = None) -> RemoteFile:
        """Open it for reading.

        Args:
            mode: ``rb``.
            end: nothing from there on will be read.

        Raises:
            BackupError: it cannot be read.
        """
        from restore.remote.stream import RemoteFile  # noqa: PLC0415 - as above

        if mode != "rb":
            raise ValueError(mode)
        return RemoteFile(self, end)


BackupPath = Path | RemotePath


def to_path(given: str | Path | RemotePath) -> BackupPath:
    """Return the path that a text names: a URL of a store, or a local path."""
    if isinstance(given, RemotePath):
        return given
    match = _URL.fullmatch(given) if isinstance(given, str) else None
    if match is None or match["scheme"].lower() not in EXTRAS:
        return Path(given)
    scheme, rest = match["scheme"].lower(), match["rest"]
    user = query = ""
    if scheme in _WITH_QUERY:
        rest = rest.partition("#")[0]
        rest, sign, query = rest.partition("?")
        query = sign + query
    if scheme in _WITH_USER:
        host, slash, path = rest.partition("/")
        before, sign, host = host.rpartition("@")
        user, rest = before + sign, host + slash + path
    if not rest.strip("/"):
        raise BackupError(f"cannot read {scheme}://: it names no bucket or host; add one")
    path = RemotePath(scheme, rest.rstrip("/"), user, query)
    return to_path(secret) if (secret := _secret_url(path)) else path


def _secret_url(path: RemotePath) -> str | None:
    """Return the URL that the command line had in place of this one before it was hidden."""
    if path.url != str(path) or HIDDEN_URLS not in os.environ:
        return None
    import json  # noqa: PLC0415 - only where a URL holds a secret

    found: str | None = json.loads(os.environ[HIDDEN_URLS]).get(str(path))
    return found


def entries(folder: BackupPath) -> list[BackupPath]:
    """Return the paths in a folder, by name.

    Raises:
        OSError: it cannot be read.
    """
    if isinstance(folder, Path):
        return sorted(folder.iterdir())
    return sorted(folder.iterdir())


def is_url(text: str) -> bool:
    """Tell if a text is the URL of a store."""
    return isinstance(to_path(text), RemotePath)
