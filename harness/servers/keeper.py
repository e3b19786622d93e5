"""The process that owns a server, so that nothing stays behind however the harness ends.

    python -m harness.servers.keeper

It reads an ``ServerOrder`` from standard input, starts the server as its own child, answers
``ServerReady`` or ``ServerRefused``, and waits. When the harness closes the pipe or dies, even by
SIGKILL, the keeper stops the server and removes its files: there is one way of cleaning up, and
each normal run exercises it. It runs in a session of its own, so Ctrl-C in the terminal reaches
neither it nor the server.
"""

from __future__ import annotations

import contextlib
import math
import sys
from typing import TYPE_CHECKING

import msgspec

from harness.servers.errors import ServerError
from harness.servers.lifeline import HarnessGoneError, Lifeline
from harness.servers.messages import Answer, Progress, ServerOrder, ServerReady, ServerRefused

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> None:
    """Keep the server that standard input orders running until standard input ends."""
    line = sys.stdin.buffer.readline()
    lifeline = Lifeline(sys.stdin.fileno())
    order = msgspec.json.decode(line, type=ServerOrder)
    try:
        with serve(order, lifeline) as serving:
            _say(serving)
            lifeline.wait(math.inf)
    except ServerError as error:
        _say(ServerRefused(reason=error.reason, advice=error.advice))
    except HarnessGoneError:
        pass


@contextlib.contextmanager
def serve(order: ServerOrder, lifeline: Lifeline) -> Iterator[ServerReady]:
    """Start the server that is ordered, and stop it at the end.

    Only the module of that kind of server is imported: the client for Docker alone takes 0.4 s.
    """
    match order.kind:
        case "embedded":
            from harness.servers import embedded  # noqa: PLC0415 - see above

            with embedded.serve(order, lifeline) as serving:
                yield serving
        case "docker":
            from harness.servers import docker  # noqa: PLC0415 - see above

            with docker.serve(order, lifeline, _say_progress) as serving:
                yield serving
        case "external":
            from harness.servers import external  # noqa: PLC0415 - see above

            with external.serve(order) as serving:
                yield serving


def _say_progress(text: str) -> None:
    _say(Progress(text=text))


def _say(answer: Answer) -> None:
    # A harness that is gone reads no answers; the lifeline notices that.
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
