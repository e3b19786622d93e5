"""The harness's side of a kept server: starts the keeper, and holds the pipe to it."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from harness.servers.errors import ServerError
from harness.servers.messages import Answer, Progress, ServerOrder, ServerReady, ServerRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEEPER = "harness.servers.keeper"

# An embedded server starts in about a second and a container in three; a loaded machine may take
# many times that. Every step in the keeper has a shorter limit and a better message.
START_PATIENCE_S = 240.0

# Stopping discards the data, so it takes well under a second; removing a container takes two.
STOP_PATIENCE_S = 60.0


@contextlib.contextmanager
def hold(order: ServerOrder, announce: Callable[[str], None]) -> Iterator[ServerReady]:
    """Keep a server running for the duration of the context, or of this process if shorter.

    Raises:
        ServerError: no server is available.
    """
    # -P: the keeper must be this package, not one in the current folder.
    keeper = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", KEEPER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": _import_path()},
    )
    try:
        yield _await_server(keeper, order, announce)
    finally:
        _let_go(keeper)


def _import_path() -> str:
    here = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])


def _await_server(
    keeper: subprocess.Popen[bytes], order: ServerOrder, announce: Callable[[str], None]
) -> ServerReady:
    """Send the order and return the answer."""
    orders, answers = _pipes(keeper)
    with contextlib.suppress(BrokenPipeError):
        orders.write(msgspec.json.encode(order) + b"\n")
        orders.flush()
    deadline = time.monotonic() + START_PATIENCE_S + order.pull_timeout_s
    while True:
        match _next_answer(answers, deadline):
            case ServerReady() as serving:
                return serving
            case Progress(text=text):
                announce(text)
            case ServerRefused(reason=reason, advice=advice):
                raise ServerError(reason, advice)


def _next_answer(answers: IO[bytes], deadline: float) -> Answer:
    ready, _, _ = select.select([answers], [], [], max(0, deadline - time.monotonic()))
    line = answers.readline() if ready else b""
    if not line:
        # The keeper explains expected failures; others are on its standard error.
        problem = "exited before the server started" if ready else "does not answer"
        raise ServerError(f"the keeper of the server {problem}", "see its output, and try again")
    answer: Answer = msgspec.json.decode(line, type=Answer)
    return answer


def _let_go(keeper: subprocess.Popen[bytes]) -> None:
    """Close the pipe and wait until the keeper has cleaned up, which it would do alone too."""
    orders, answers = _pipes(keeper)
    answers.close()
    with contextlib.suppress(BrokenPipeError):
        orders.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        keeper.wait(STOP_PATIENCE_S)


def _pipes(keeper: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if keeper.stdin is None or keeper.stdout is None:
        raise AssertionError("the keeper was started without pipes")
    return keeper.stdin, keeper.stdout
