"""An SSH server in a process of its own that serves a folder: ROOT, and a public key."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import asyncssh

if TYPE_CHECKING:
    from collections.abc import Awaitable

ROOM_BYTES = 100_000


class Files(asyncssh.SFTPServer):
    """Files of which none may be opened that is called secret, nor grow that is called full."""

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        """Open a file."""
        if b"secret" in path:
            raise asyncssh.SFTPPermissionDenied("not for you")
        return super().open(path, pflags, attrs)

    def write(self, file_obj: object, offset: int, data: bytes) -> int | Awaitable[int]:
        """Write to a file."""
        if b"full" in file_obj.name and offset + len(data) > ROOM_BYTES:  # type: ignore[attr-defined]
            raise asyncssh.SFTPNoSpaceOnFilesystem("no room")
        return super().write(file_obj, offset, data)


async def serve(root: str, client_key: str) -> None:
    """Serve files by SFTP on loopback; print the port and the host's public key."""
    host_key = asyncssh.generate_private_key("ssh-ed25519")

    def files(channel: Any) -> Any:
        return Files(channel, chroot=os.fsencode(root))

    listener = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        authorized_client_keys=asyncssh.import_authorized_keys(client_key),
        sftp_factory=files,
    )
    print(listener.get_port(), host_key.export_public_key().decode(), flush=True)  # noqa: T201 - it is asked for
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
