"""What the harness and the keeper of a server say to each other: one line of JSON each.

Passwords travel here, over a pipe, and in the environment of child processes; never on a command
line.
"""

from __future__ import annotations

from typing import Literal

import msgspec

ServerKind = Literal["docker", "embedded", "external"]


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message that may hold a password, and keeps it out of tracebacks and logs."""

    url: str = ""
    password: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(url={self.url!r}, password={self.password and '***'!r})"


class Order(_Message, frozen=True, kw_only=True):
    """What the harness asks for.

    Args:
        kind: which face.
        token: names all that is made for this harness process: containers and databases.
        url: the user's server; for ``external`` only.
        password: of the user's server, where the URL held one.
        image: the image to run; for ``docker`` only.
        pull_timeout_s: how long the image may take to arrive; for ``docker`` only.
        settings: of a server that is ours, before those for a bulk load.
        restart_after_s: how long after its end the server is started again, as a service manager
            would; None for not at all; for ``embedded`` only.
    """

    kind: ServerKind
    token: str
    image: str = ""
    pull_timeout_s: float = 0.0
    settings: dict[str, str] = {}
    restart_after_s: float | None = None

    @property
    def prefix(self) -> str:
        """What the names of all that is made for this harness process begin with."""
        return f"restorebench_{self.token}"


class ServerReady(_Message, frozen=True, kw_only=True, tag="serving"):
    """A server runs; ``url`` leads to its maintenance database.

    ``cgroup`` is the folder of its control group, where it has one of its own; ``unmetered`` says
    why its memory cannot be read, where it cannot.
    """

    pid: int | None = None
    cgroup: str | None = None
    unmetered: str | None = None
    image: str | None = None
    image_digest: str | None = None


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """Something takes long; worth a line to the user."""

    text: str


class ServerRefused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """No server can be had: the two halves of a ``ServerError``."""

    reason: str
    advice: str


Answer = ServerReady | Progress | ServerRefused
