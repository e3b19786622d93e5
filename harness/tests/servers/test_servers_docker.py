"""The Docker face, on a real daemon that has the image or can pull it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest
from testcontainers.core.docker_client import DockerClient

from harness.servers import RunningServer, open_server, settings
from harness.tests.processes import peaks_around_a_sort
from harness.trial.sampling import CgroupMeter

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

pytestmark = pytest.mark.docker

PATIENCE_S = 60.0

# A harness that has a container, says so, and goes on until it is stopped.
HARNESS = """
import time
from harness.servers import open_server
with open_server("docker", announce=lambda _: None) as server, server.database() as dsn:
    print(dsn, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def daemon() -> Iterator[docker.DockerClient]:
    with contextlib.closing(DockerClient().client) as client:
        yield client


@pytest.fixture(scope="module")
def in_docker() -> Iterator[RunningServer]:
    with open_server("docker", announce=print) as running:
        yield running


def containers(daemon: docker.DockerClient) -> dict[str, Any]:
    # Each is looked at after the list is made, and may be gone by then.
    found = daemon.containers.list(all=True, filters={"name": "restorebench_"}, ignore_removed=True)
    return {str(container.name): container for container in found}


def volumes(daemon: docker.DockerClient) -> set[str]:
    return {str(volume.name) for volume in daemon.volumes.list()}


def test_auto_takes_docker_where_a_daemon_and_the_image_are_there() -> None:
    said: list[str] = []
    with open_server("auto", announce=said.append) as server:
        image = os.environ.get("RESTOREBENCH_IMAGE") or "postgres:18"
        assert server.record.kind == "docker"
        assert server.record.image == image
        assert str(server.record.image_digest).startswith("sha256:")
    version = server.record.version
    assert said[-1] == f"PostgreSQL {version}, docker: {image}, a Docker daemon answers"


def test_a_container_has_the_settings_of_the_embedded_server(
    in_docker: RunningServer, server: RunningServer
) -> None:
    chosen = {**settings.bulk_load(settings.memory_limit_bytes(), None), "collation": ""}
    in_docker_settings = {name: in_docker.record.settings[name] for name in chosen}
    # The log's ceiling follows the disk, which cannot be seen from outside a container.
    del in_docker_settings["max_wal_size"]
    # The embedded server of the tests need not outlive a power cut; one that is measured must.
    for name in ("fsync", "full_page_writes"):
        assert in_docker_settings.pop(name) == "on"
    assert in_docker_settings.items() <= server.record.settings.items()


def test_a_database_in_a_container_can_be_used_by_url_and_environment(
    in_docker: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in in_docker.env.items():
        monkeypatch.setenv(name, value)
    with in_docker.database("CREATE TABLE t AS SELECT 'é' AS a") as dsn:
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT a FROM t").fetchall() == [("é",)]
        assert in_docker.env["PGPASSWORD"] not in dsn


def test_the_password_is_asked_for(in_docker: RunningServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(in_docker.dsn("postgres"), password="guessed")


def test_a_container_is_published_on_loopback_alone(
    in_docker: RunningServer, daemon: docker.DockerClient
) -> None:
    container = containers(daemon)[in_docker._prefix]
    published = [place for places in container.ports.values() for place in places or ()]
    assert [place["HostIp"] for place in published] == ["127.0.0.1"]


def test_the_memory_of_a_container_is_read_from_its_control_group(
    in_docker: RunningServer,
) -> None:
    if in_docker.cgroup is None:
        assert (in_docker.unmetered or "").startswith("unknown: ")
        pytest.skip(f"this daemon's groups cannot be seen: {in_docker.unmetered}")
    meter = CgroupMeter(in_docker.cgroup)
    before_bytes, peak_bytes = peaks_around_a_sort(in_docker, meter)
    assert before_bytes > 0
    assert peak_bytes - before_bytes > 100_000_000


def test_no_process_shows_the_password(in_docker: RunningServer) -> None:
    secret = in_docker.env["PGPASSWORD"]
    shown = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert secret not in str(shown)


def test_closing_removes_the_container_and_its_volume(daemon: docker.DockerClient) -> None:
    before = containers(daemon).keys(), volumes(daemon)
    with open_server("docker", announce=print):
        assert containers(daemon).keys() > before[0]
    assert (containers(daemon).keys(), volumes(daemon)) == before


def test_a_harness_that_is_killed_leaves_no_container(daemon: docker.DockerClient) -> None:
    before = containers(daemon).keys()
    with subprocess.Popen(
        [sys.executable, "-c", HARNESS], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    ) as harness:
        assert harness.stdout is not None
        try:
            assert harness.stdout.readline()
            (name,) = containers(daemon).keys() - before
        finally:
            harness.kill()
    deadline = time.monotonic() + PATIENCE_S
    while name in containers(daemon) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert name not in containers(daemon)


def test_auto_does_without_an_image_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTOREBENCH_IMAGE", "restorebench-no-such-image:0")
    said: list[str] = []
    with open_server("auto", announce=said.append) as server:
        assert server.record.kind == "embedded"
        expected = "the image restorebench-no-such-image:0 cannot be pulled ("
        assert server.record.reason.startswith(expected)
    assert said[0] == "pulling the image restorebench-no-such-image:0 (at most 60 s)"


def test_a_pull_that_takes_too_long_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTOREBENCH_IMAGE", "restorebench-no-such-image:0")
    monkeypatch.setenv("RESTOREBENCH_PULL_TIMEOUT_S", "0")
    with open_server("auto", announce=print) as server:
        assert server.record.reason.endswith("(not finished after 0 s)")


def test_an_image_that_is_no_postgres_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, in_docker: RunningServer, daemon: docker.DockerClient
) -> None:
    image = daemon.images.get(str(in_docker.record.image))
    broken = "restorebench-broken:0"
    _derive(daemon, image=str(image.id), tag=broken)
    monkeypatch.setenv("RESTOREBENCH_IMAGE", broken)
    try:
        said: list[str] = []
        with open_server("auto", announce=said.append) as server:
            assert server.record.reason.startswith("PostgreSQL does not start in the container (")
    finally:
        daemon.images.remove(broken, force=True)
    assert len(said) == 1


def _derive(daemon: docker.DockerClient, *, image: str, tag: str) -> None:
    """Make an image that says something and ends."""
    container = daemon.containers.create(image)
    repository, _, version = tag.partition(":")
    change = 'ENTRYPOINT ["/bin/sh", "-c", "echo I am no database; exit 1"]'
    container.commit(repository, version, changes=change)
    container.remove(v=True)
