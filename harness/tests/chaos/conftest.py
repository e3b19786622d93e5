"""A server that may be killed, for all tests of chaos: never the one of other tests."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from harness.chaos import target
from harness.servers import open_restarting_server
from harness.tests.processes import comes_true

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.chaos.target import Target

RESTART_AFTER_S = 0.2


@pytest.fixture(scope="session")
def mortal() -> Iterator[Target]:
    """A server of ours, to be killed."""
    with open_restarting_server(RESTART_AFTER_S, announce=print) as server:
        yield target.make_target(server, check=lambda: None)


@pytest.fixture
def database(mortal: Target) -> Iterator[str]:
    """A fresh database there."""
    name = mortal.make("CREATE TABLE t (a integer)")
    yield name
    mortal.drop(name)


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], bool]:
    """Return what waits until something holds, and says whether it came to that."""
    return comes_true


@pytest.fixture
def closing() -> Iterator[contextlib.ExitStack]:
    """What is entered here is left with the test."""
    with contextlib.ExitStack() as stack:
        yield stack
