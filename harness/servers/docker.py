"""Runs PostgreSQL in a container by testcontainers, reachable from this machine alone.

The keeper removes the container, so testcontainers' own reaper is disabled: it is a second image,
which would have to be pulled.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, cast

import psycopg
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from requests.exceptions import RequestException
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import testcontainers_config
from testcontainers.core.docker_client import DockerClient

from harness.servers import cgroup, settings
from harness.servers.address import Address
from harness.servers.errors import ServerError, one_line
from harness.servers.messages import ServerOrder, ServerReady

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import docker
    from docker.models.containers import Container
    from docker.models.images import Image

    from harness.servers.lifeline import Lifeline

testcontainers_config.ryuk_disabled = True

PING_TIMEOUT_S = 5  # a running daemon answers in milliseconds
REQUEST_TIMEOUT_S = 60  # to make, start or remove a container
READY_TIMEOUT_S = 90.0  # from the container's start, its initdb included
LOOK_INTERVAL_S = 0.1

PORT = 5432
USER = "restorebench"
DATABASE = "postgres"

# Parallel queries and index builds share /dev/shm; Docker's default of 64 MB makes them fail.
SHM_SIZE = "1g"

OTHERWISE = "or choose --server embedded"


class _PostgresContainer(PostgresContainer):
    """A container whose start does not wait: testcontainers' wait puts the password in argv."""

    def _connect(self) -> None:
        """Do nothing; ``_wait_until_ready`` waits."""


def missing() -> str | None:
    """Return why Docker cannot be used; None if a daemon answers."""
    try:
        with contextlib.closing(DockerClient(timeout=PING_TIMEOUT_S).client) as client:
            client.ping()
    except (DockerException, RequestException):
        return "no Docker daemon answers"
    return None


@contextlib.contextmanager
def serve(
    order: ServerOrder, lifeline: Lifeline, tell: Callable[[str], None]
) -> Iterator[ServerReady]:
    """Run a container, and remove it and its volume at the end.

    Raises:
        ServerError: no daemon, no image, or PostgreSQL does not start in it.
        HarnessGoneError: the harness has gone.
    """
    absent = missing()
    if absent:
        raise ServerError(absent, f"start Docker, {OTHERWISE}")
    try:
        client = DockerClient(timeout=REQUEST_TIMEOUT_S).client
        image = _image(order, client, lifeline, tell)
        with _container(order, client) as (container, password):
            where = _wait_until_ready(container, password, lifeline)
            folder, unmetered = _cgroup(container)
            yield ServerReady(
                url=where.url(DATABASE),
                password=password,
                cgroup=folder,
                unmetered=unmetered,
                image=order.image,
                image_digest=_digest(image),
            )
    except (DockerException, RequestException) as error:
        raise ServerError(
            f"the Docker daemon failed ({_explanation(error)})", f"repair it, {OTHERWISE}"
        ) from None


def _image(
    order: ServerOrder, client: docker.DockerClient, lifeline: Lifeline, tell: Callable[[str], None]
) -> Image:
    """Return the local image, or pull it from its registry."""
    try:
        return client.images.get(order.image)
    except ImageNotFound:
        pass
    tell(f"pulling the image {order.image} (at most {order.pull_timeout_s:.0f} s)")
    problem = _pull(order, lifeline)
    if problem is not None:
        raise ServerError(
            f"the image {order.image} cannot be pulled ({problem})",
            f"pull it by hand, name another in RESTOREBENCH_IMAGE, {OTHERWISE}",
        )
    return client.images.get(order.image)


def _pull(order: ServerOrder, lifeline: Lifeline) -> str | None:
    """Pull the image; return the error, if any.

    A pull has no time limit of its own. This one runs in a thread that ends with the keeper, and
    the daemon stops pulling when its client has gone.
    """
    problems: list[str] = []

    def pull() -> None:
        try:
            DockerClient(timeout=int(order.pull_timeout_s) + 1).client.images.pull(order.image)
        except (DockerException, RequestException) as error:
            # The last clause has the reason; those before name hosts, which are not recorded.
            problems.append(_explanation(error).rpartition(": ")[2])

    thread = threading.Thread(target=pull, daemon=True)
    deadline = time.monotonic() + order.pull_timeout_s
    thread.start()
    while thread.is_alive():
        lifeline.wait(LOOK_INTERVAL_S)
        if time.monotonic() > deadline:
            return f"not finished after {order.pull_timeout_s:.0f} s"
    return problems[0] if problems else None


@contextlib.contextmanager
def _container(order: ServerOrder, client: docker.DockerClient) -> Iterator[tuple[Container, str]]:
    """Start a container with a random password, and remove it by name at the end."""
    password = secrets.token_urlsafe(24)
    container = _PostgresContainer(
        order.image,
        username=USER,
        password=password,
        dbname=DATABASE,
        name=order.prefix,
        docker_client_kw={"timeout": REQUEST_TIMEOUT_S},
        shm_size=SHM_SIZE,
    )
    chosen = settings.of_profile(order.profile, client.info()["MemTotal"], disk_free_bytes=None)
    chosen |= order.settings
    container.with_command(["postgres", *settings.as_arguments(chosen)])
    # testcontainers' type allows no address; the client below accepts this pair.
    container.ports = cast("Any", {str(PORT): ("127.0.0.1", None)})
    try:
        yield container.start().get_wrapped_container(), password
    finally:
        with contextlib.suppress(NotFound):
            client.api.remove_container(order.prefix, v=True, force=True)


def _wait_until_ready(container: Container, password: str, lifeline: Lifeline) -> Address:
    """Wait until PostgreSQL answers on the published port; return its address."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        container.reload()
        where = _address(container, password)
        problem = _try_to_connect(where) if where else "no port is published"
        if where and problem is None:
            return where
        if container.status == "exited" or time.monotonic() > deadline:
            raise ServerError(
                f"PostgreSQL does not start in the container ({problem}; {_last_line(container)})",
                f"check that the image is one of PostgreSQL, {OTHERWISE}",
            )
        lifeline.wait(LOOK_INTERVAL_S)


def _address(container: Container, password: str) -> Address | None:
    """Return the address of the container's published port, or None if there is none yet."""
    published = container.ports.get(f"{PORT}/tcp")
    if not published:
        return None
    parameters = {
        "user": USER,
        # The override is for a harness that runs in a container itself.
        "host": testcontainers_config.tc_host_override or "127.0.0.1",
        "port": str(published[0]["HostPort"]),
        "sslmode": "disable",  # loopback; the user's PGSSLMODE must not break it
    }
    return Address(parameters, password)


def _try_to_connect(where: Address) -> str | None:
    """Return the error, if any. While it runs initdb, the image listens on no port."""
    try:
        psycopg.connect(where.url(DATABASE), password=where.password, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        return one_line(error, secret=where.password)
    return None


def _cgroup(container: Container) -> tuple[str | None, str | None]:
    """Return the folder of the container's control group, or why it is unknown."""
    container.reload()
    return cgroup.folder_of(int(container.attrs["State"]["Pid"]), str(container.id))


def _digest(image: Image) -> str:
    """Return the registry's digest of the image, or its own if it was built here."""
    digests = image.attrs.get("RepoDigests") or [str(image.id)]
    return str(digests[0]).rpartition("@")[2]


def _last_line(container: Container) -> str:
    lines = container.logs(tail=5).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "its log is empty"


def _explanation(error: Exception) -> str:
    """Return the daemon's error message, without the address of the request."""
    explanation = error.explanation if isinstance(error, APIError) else None
    return one_line(RuntimeError(explanation)) if explanation else one_line(error)
