"""The process that owns a server, so that nothing stays behind however the harness ends.

    python -m harness.servers.keeper

It reads an ``Order`` from standard input, starts the server as its own child, answers ``Serving``
or ``Refused``, and waits. When the harness lets go of the pipe, in peace or by SIGKILL, it stops
the server and removes its files: there is one way of cleaning up, and each normal run proves it. It
lives in a session of its own, so Ctrl-C in the terminal does not reach it or the server.
"""

from __future__ import annotations

import contextlib
import math
import sys
from typing import TYPE_CHECKING

import msgspec

from harness.servers.errors import ServerError
from harness.servers.lifeline import HarnessGoneError, Lifeline
from harness.servers.messages import Answer, Order, Progress, Refused, Serving

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> None:
    """Keep the server that standard input orders until standard input ends."""
    line = sys.stdin.buffer.readline()
    lifeline = Lifeline(sys.stdin.fileno())
    order = msgspec.json.decode(line, type=Order)
    try:
        with serve(order, lifeline) as serving:
            _say(serving)
            lifeline.wait(math.inf)
    except ServerError as error:
        _say(Refused(reason=error.reason, advice=error.advice))
    except HarnessGoneError:
        pass


@contextlib.contextmanager
def serve(order: Order, lifeline: Lifeline) -> Iterator[Serving]:
    """Start what is ordered and stop it at the end.

    The faces are imported when they are wanted: the client for Docker alone takes 0.4 s.
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
    # A harness that is gone reads no answers; the lifeline tells the rest of the keeper.
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
