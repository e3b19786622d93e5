"""Provides a PostgreSQL server: by Docker, embedded, or one of the user's.

    with open_server("auto", announce=print) as server, server.database(schema_sql) as url:
        ...

The first two are started by a keeper, a process that outlives the harness just long enough to clean
up after it, with the settings of a profile (``settings.py``). The third is used as it is.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from harness.model.errors import InputError
from harness.servers import address, lease, running
from harness.servers.errors import ServerError
from harness.servers.messages import ServerOrder, ServerProfile
from harness.servers.running import RunningServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["CHOICES", "RunningServer", "ServerError", "open_mortal_server", "open_server"]

CHOICES = "auto, docker, embedded or a postgresql:// URL"

DEFAULT_IMAGE = "postgres:18"

# Time limits for pulling the image: long for Docker by choice; short for ``auto``, which has an
# alternative.
PULL_TIMEOUT_S = 600.0
AUTO_PULL_TIMEOUT_S = 60.0


@contextlib.contextmanager
def open_server(
    choice: str,
    *,
    announce: Callable[[str], None],
    profile: ServerProfile = "bulk",
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[RunningServer]:
    """Provide a PostgreSQL server for the duration of the context.

    Args:
        choice: ``auto``, ``docker``, ``embedded`` or the URL of a server.
        announce: called with a line naming the server and the reason; before that, with one if an
            image is being pulled.
        profile: how a server that we start is configured; one of the user's is never changed.
        settings: settings of a server that we start, which override those of its profile.

    Raises:
        InputError: the choice is invalid.
        ServerError: no server is available.
    """
    with contextlib.ExitStack() as stack:
        server = _open(choice, _Configuration(profile, dict(settings)), stack, announce)
        announce(
            f"PostgreSQL {server.record.version}, {server.record.kind}: {server.record.reason}"
        )
        yield server


@contextlib.contextmanager
def open_restarting_server(
    restart_after_s: float, *, announce: Callable[[str], None]
) -> Iterator[RunningServer]:
    """Provide an embedded PostgreSQL server that is restarted ``restart_after_s`` after its end.

    Socket and data directory stay the same; ``pid`` is that of the first start only.

    Raises:
        ServerError: no server is available.
    """
    order = ServerOrder(kind="embedded", token=_token(), restart_after_s=restart_after_s)
    with contextlib.ExitStack() as stack:
        yield _start(order, "restarted after each crash", stack, announce)


class _Configuration(NamedTuple):
    """How a server that we start is configured."""

    profile: ServerProfile
    settings: dict[str, str]


def _open(
    choice: str,
    configuration: _Configuration,
    stack: contextlib.ExitStack,
    announce: Callable[[str], None],
) -> RunningServer:
    match choice:
        case "auto":
            return _open_any(configuration, stack, announce)
        case "docker":
            order = _docker(PULL_TIMEOUT_S, configuration)
            return _start(order, f"{order.image}, as asked", stack, announce)
        case "embedded":
            return _start(_embedded(configuration), "as asked", stack, announce)
        case url if url.startswith(address.SCHEMES):
            return _start(_external(url), "as named; its settings are unchanged", stack, announce)
        case _:
            # The value is not repeated: it may be a mistyped URL with a password.
            raise InputError(f"--server is invalid; write {CHOICES}")


def _open_any(
    configuration: _Configuration, stack: contextlib.ExitStack, announce: Callable[[str], None]
) -> RunningServer:
    """Use Docker if it provides a server in bounded time, else the embedded one."""
    order = _docker(AUTO_PULL_TIMEOUT_S, configuration)
    try:
        return _start(order, f"{order.image}, a Docker daemon answers", stack, announce)
    except ServerError as error:
        without = error.reason
    try:
        return _start(_embedded(configuration), without, stack, announce)
    except ServerError as error:
        raise ServerError(f"{without}, and {error.reason}", error.advice) from None


def _start(
    order: ServerOrder, reason: str, stack: contextlib.ExitStack, announce: Callable[[str], None]
) -> RunningServer:
    with contextlib.ExitStack() as attempt:
        serving = attempt.enter_context(lease.hold(order, announce))
        server = running.inspect_server(serving, order, reason)
        stack.push(attempt.pop_all())
    return server


def _docker(pull_timeout_s: float, configuration: _Configuration) -> ServerOrder:
    return ServerOrder(
        kind="docker",
        token=_token(),
        image=os.environ.get("RESTOREBENCH_IMAGE") or DEFAULT_IMAGE,
        pull_timeout_s=_pull_timeout_s(pull_timeout_s),
        profile=configuration.profile,
        settings=configuration.settings,
    )


def _pull_timeout_s(otherwise: float) -> float:
    given = os.environ.get("RESTOREBENCH_PULL_TIMEOUT_S")
    try:
        return float(given) if given else otherwise
    except ValueError:
        raise InputError("RESTOREBENCH_PULL_TIMEOUT_S is not a number; set it to seconds") from None


def _embedded(configuration: _Configuration) -> ServerOrder:
    return ServerOrder(
        kind="embedded",
        token=_token(),
        profile=configuration.profile,
        settings=configuration.settings,
    )


def _external(url: str) -> ServerOrder:
    where = address.parse(url)
    return ServerOrder(
        kind="external",
        token=_token(),
        url=where.url(where.database),
        password=where.password,
    )


def _token() -> str:
    return secrets.token_hex(4)
