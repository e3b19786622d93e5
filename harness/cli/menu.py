"""The menu of ``db-restore-benchmark`` without arguments: asks, shows the command line, runs it.

Plain prompts, so it works over SSH, in tmux and on a terminal of any size. Ctrl-C ends what runs,
or the questions of a choice, and the menu comes back; at the menu itself it ends the program.
"""

from __future__ import annotations

import shlex
from argparse import ArgumentTypeError
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.prompt import InvalidResponse, Prompt

from harness.cli.program import program
from harness.cli.values import row_count
from harness.model.errors import ExitCode
from harness.servers import CHOICES
from harness.servers.settings import PROFILES

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[list[str]], int]

_QUIT = "q"


class _Rows(Prompt):
    """Asks for a number of rows until the answer is one."""

    def process_response(self, value: str) -> str:
        """Return the answer as it was typed."""
        answer = super().process_response(value)
        try:
            row_count(answer)
        except ArgumentTypeError as error:
            raise InvalidResponse(f"[prompt.invalid]{error}") from error
        return answer


@dataclass(frozen=True, slots=True)
class Choice:
    """A line of the menu, and the words of the command line that its questions lead to."""

    title: str
    words: Callable[[Console], list[str]]


def run(run_command: Run, console: Console | None = None) -> int:
    """Show the menu until the user leaves it, and return the exit code.

    Args:
        run_command: runs the words of a command line, and returns its exit code.
        console: the terminal.
    """
    console = console or Console()
    while True:
        try:
            console.print()
            for key, choice in _CHOICES.items():
                console.print(f"  [bold]{key}[/]  {choice.title}", highlight=False)
            console.print(f"  [bold]{_QUIT}[/]  quit", highlight=False)
            keys = [*_CHOICES, _QUIT]
            key = Prompt.ask("\nChoice", choices=keys, default="3", console=console)
        except (KeyboardInterrupt, EOFError):
            console.print()
            return ExitCode.OK
        if key == _QUIT:
            return ExitCode.OK
        _do(_CHOICES[key], run_command, console)


def _do(choice: Choice, run_command: Run, console: Console) -> None:
    """Ask the questions of a choice, show its command line and run it."""
    try:
        words = choice.words(console)
        line = f"$ {program()} {shlex.join(words)}"
        console.print(line, style="bold", markup=False, highlight=False, soft_wrap=True)
    except (KeyboardInterrupt, EOFError):
        console.print("\nnothing was done")
        return
    code: object
    try:
        code = run_command(words)
    except SystemExit as stopped:  # invalid usage
        code = stopped.code
    except KeyboardInterrupt:  # before the command handles it, or after
        code = ExitCode.FAILED
    if code != ExitCode.OK:
        console.print(f"exit code {code}", highlight=False)


def _bench(*engines: str) -> Callable[[Console], list[str]]:
    def words(console: Console) -> list[str]:
        rows = _Rows.ask("Rows (k and M are understood)", default="100k", console=console)
        server = Prompt.ask(f"Server ({CHOICES})", default="auto", console=console)
        profile = Prompt.ask("Profile", choices=list(PROFILES), default="bulk", console=console)
        named = [word for engine in engines for word in ("--engine", engine)]
        return [
            *("bench", "--rows", rows, *named),
            *("--server", server, "--server-profile", profile),
        ]

    return words


def _history(console: Console) -> list[str]:
    run_id = Prompt.ask("Run (nothing for a list of all)", default="", console=console)
    return ["history", *([run_id] if run_id else [])]


def _report(console: Console) -> list[str]:
    page = Prompt.ask("Page to write", default="build/report/index.html", console=console)
    return ["report", "--out", page]


def _generate(console: Console) -> list[str]:
    rows = _Rows.ask("Rows (k and M are understood)", default="100k", console=console)
    folder = Prompt.ask("Folder", default="backups", console=console)
    return ["generate", "--rows", rows, "--out", folder]


def _peers(console: Console) -> list[str]:
    answer = Prompt.ask("Install them", choices=["y", "n"], default="n", console=console)
    return ["peers", *(["--install"] if answer == "y" else [])]


_CHOICES = {
    "1": Choice("legacy: measure the naive restorer", _bench("legacy")),
    "2": Choice("optimized: measure the streaming restorer", _bench("restore")),
    "3": Choice("compare both", _bench("legacy", "restore")),
    "4": Choice("history of the runs", _history),
    "5": Choice("report with charts", _report),
    "6": Choice("generate a dataset", _generate),
    "7": Choice("peers: the other ways to restore", _peers),
}
