"""The messages between the harness and the keeper of a server: one line of JSON each.

Passwords travel here, over a pipe, and in the environment of child processes; never on a command
line.
"""

from __future__ import annotations

from typing import Literal

import msgspec

ServerKind = Literal["docker", "embedded", "external"]
ServerProfile = Literal["stock", "bulk"]


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message that may hold a password, which ``repr`` hides."""

    url: str = ""
    password: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(url={self.url!r}, password={self.password and '***'!r})"


class ServerOrder(_Message, frozen=True, kw_only=True):
    """The server that the harness asks for.

    Args:
        kind: kind of server.
        token: part of the names of all containers and databases of this harness process.
        url: the user's server; for ``external`` only.
        password: password of the user's server, if the URL had one.
        image: the image to run; for ``docker`` only.
        pull_timeout_s: time limit for pulling the image; for ``docker`` only.
        profile: how our own server is configured (``settings.py``).
        settings: settings of our own server, which override those of its profile.
        restart_after_s: delay after which the server is restarted, as by a service manager; None
            for never; for ``embedded`` only.
    """

    kind: ServerKind
    token: str
    image: str = ""
    pull_timeout_s: float = 0.0
    profile: ServerProfile = "bulk"
    settings: dict[str, str] = {}
    restart_after_s: float | None = None

    @property
    def prefix(self) -> str:
        """Return the prefix of all names of this harness process."""
        return f"restorebench_{self.token}"


class ServerReady(_Message, frozen=True, kw_only=True, tag="serving"):
    """The server is running; ``url`` is that of its maintenance database.

    ``cgroup`` is the folder of its control group, if it has one of its own; ``unmetered`` says why
    its memory cannot be read, if so.
    """

    pid: int | None = None
    cgroup: str | None = None
    unmetered: str | None = None
    image: str | None = None
    image_digest: str | None = None


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """A line for the user about a step that takes long."""

    text: str


class ServerRefused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """No server is available: the two parts of a ``ServerError``."""

    reason: str
    advice: str


Answer = ServerReady | Progress | ServerRefused
