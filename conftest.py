"""Fixtures of all tests: a real PostgreSQL for the session, an empty database for each test.

The server is the embedded one, unless RESTOREBENCH_TEST_SERVER says ``docker`` or gives a URL.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from psycopg.conninfo import conninfo_to_dict

from harness.servers import RunningServer, open_server
from harness.tests.database_pool import DatabasePool

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import psycopg

# What a test finds depends neither on how busy the machine is nor on chance: each run draws the
# same few examples. The scheduled run draws many others.
_OTHER_EXAMPLES = "RESTOREBENCH_OTHER_EXAMPLES" in os.environ
hypothesis.settings.register_profile(
    "project",
    deadline=None,
    derandomize=not _OTHER_EXAMPLES,
    max_examples=1_000 if _OTHER_EXAMPLES else 100,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("project")

# What tests restore need not outlive a power cut; with these they take two thirds of the time.
UNSAFE = {"fsync": "off", "full_page_writes": "off"}

_FAILED_BENCHMARKS = pytest.StashKey[dict[str, dict[str, str]]]()


@dataclass(frozen=True, slots=True)
class Database:
    """A fresh database; ``dsn`` holds no password, the environment does."""

    name: str
    dsn: str
    server: RunningServer
    _connections: contextlib.ExitStack

    def connect(self) -> psycopg.Connection[Any]:
        """Connect, in autocommit; closed with the test."""
        return self._connections.enter_context(self.server.connect(self.name))


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """A PostgreSQL that answers; what is needed to connect stands in the environment."""
    choice = os.environ.get("RESTOREBENCH_TEST_SERVER") or "embedded"
    with (
        open_server(choice, announce=print, settings=UNSAFE) as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in running.env.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(scope="session")
def database_pool(server: RunningServer) -> Iterator[DatabasePool]:
    """Databases that one test after another uses."""
    with contextlib.closing(DatabasePool(server)) as pool:
        yield pool


@pytest.fixture
def database(server: RunningServer, database_pool: DatabasePool) -> Iterator[Database]:
    """An empty database."""
    with database_pool.database() as dsn, contextlib.ExitStack() as connections:
        yield Database(str(conninfo_to_dict(dsn)["dbname"]), dsn, server, connections)


def pytest_configure() -> None:
    """Take signals that a shell in the background ignores: what tests start would ignore them."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what asks a server, so that ``-m server`` runs on another version what can differ.

    What counts a Docker daemon's containers goes to one process: there is one daemon.
    """
    if "server" in getattr(item, "fixturenames", ()):
        item.add_marker("server")
    if item.get_closest_marker("docker") is not None:
        item.add_marker(pytest.mark.xdist_group("docker"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked ``docker`` where no daemon answers; fail it where one is required.

    Skip what is marked ``alone`` where tests of other processes share the server.
    """
    is_shared = os.environ.get("RESTOREBENCH_TEST_SERVER") not in {None, "", "embedded", "docker"}
    is_parallel = "PYTEST_XDIST_WORKER" in os.environ
    if item.get_closest_marker("alone") is not None and is_shared and is_parallel:
        pytest.skip("other tests share the server: run this one with -n 0")
    if item.get_closest_marker("docker") is None:
        return
    problem = _docker_missing()
    if problem and os.environ.get("RESTOREBENCH_REQUIRE_DOCKER"):
        pytest.fail(f"{problem}, and RESTOREBENCH_REQUIRE_DOCKER is set", pytrace=False)
    if problem:
        pytest.skip(problem)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note each benchmark whose test fails, wherever it does: pytest-benchmark would keep its time.

    And would say nothing of one that fails sooner.
    """
    report = yield
    if report.failed and "benchmark" in getattr(item, "fixturenames", ()):
        failed = item.config.stash.setdefault(_FAILED_BENCHMARKS, {})
        failed[item.nodeid] = {"fullname": item.nodeid, "name": item.name}
    return report


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Name in the file which benchmarks failed, and keep no time of them."""
    failed = config.stash.get(_FAILED_BENCHMARKS, {})
    kept = [one for one in output_json["benchmarks"] if one["fullname"] not in failed]
    output_json["benchmarks"], output_json["failed"] = kept, list(failed.values())


@functools.cache
def _docker_missing() -> str:
    """Ask once, and in another process: a client that finds no daemon leaks its socket."""
    ask = "from harness.servers import docker; print(docker.missing() or '')"
    command = [sys.executable, "-c", ask]
    return subprocess.run(  # noqa: S603 - the line above
        command, cwd=Path(__file__).parent, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
