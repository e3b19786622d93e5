"""``python -m harness``: the commands, their exit codes, and errors as one line.

Each command is a module beside this one, with ``add_arguments`` and ``run``.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from typing import TYPE_CHECKING

from harness.cli.output import discard_output, say, tolerate_narrow_encodings, write
from harness.cli.program import program
from harness.model.errors import ExitCode, HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Command = Callable[[argparse.Namespace], int]

COMMANDS = {
    "generate": "Write a backup with its ground truth.",
    "adopt": "Make a dataset of a backup of your own.",
    "bench": "Restore a backup with each engine, verify and record it, and print a table.",
    "peers": "List the other ways to restore that can be measured, or install them.",
    "bench-full": "Measure all engines at all sizes, under all conditions.",
    "ablate": "Measure the gain of each technique, from the naive restorer to the full one.",
    "chaos": "Inject faults into restores, and check that each can be resumed.",
    "selftest": "Check that the harness finds known differences, and reports no others.",
    "history": "List the recorded runs, or show one.",
    "publish": "Copy runs into a folder that is kept in git, made small.",
    "docs": "Write the figures of the published matrix into README and docs.",
    "report": "Write runs as a page, with charts.",
    "history-push": "Add recorded runs to a branch of a git repository.",
    "history-fetch": "Copy the recorded runs of such a branch into a folder.",
    "trends": "Write the trends of the history as a page.",
    "compare": "Compare two runs.",
    "compare-commits": "Measure two commits in one run; fail if the second is worse.",
    "pr-comment": "Write the comment on a pull request from a comparison of commits.",
    "pr-comment-post": "Put that comment on its pull request, in place of an earlier one.",
    "scale": "Predict how long a restore takes on other hardware.",
    "gate": "Fail if an engine regressed in time, memory or completeness.",
    "accept": "Record that a change of an engine's figures is intended.",
}

EPILOG = """\
exit codes:
  0  success
  3  finished, with rejects or with trials that are not ok
  1  failed, or stopped before the end
  2  invalid usage or input
  4  gate, compare-commits: an engine regressed in time, memory or completeness

Run `{} COMMAND --help` for the options of a command.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; the only place where errors become text.

    Without arguments, on a terminal, a menu asks for the command.
    """
    tolerate_narrow_encodings()
    words = sys.argv[1:] if arguments is None else arguments
    name = program()
    try:
        if not words and sys.stdin.isatty() and sys.stdout.isatty():
            from harness.cli import menu  # noqa: PLC0415 - rich, which --help does without

            return menu.run(main)
        options = parsed(words)
        name = f"{name} {options.command}"
        command: Command = options.run
        code = command(options)
        sys.stdout.flush()
    except HarnessError as error:
        say(f"{name}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say(f"{name}: stopped")
        return ExitCode.FAILED
    except BrokenPipeError:
        discard_output()
        return ExitCode.FAILED
    return code


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; suggest the nearest name for a typo, and exit."""
    parser, commands = _parser(words)
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        hint = _hint(words[0], COMMANDS, "--help lists the commands")
        parser.error(f"there is no command {words[0]!r}: {hint}")
    options, surplus = parser.parse_known_args(words)
    if surplus:
        own = commands[options.command]
        known = [flag for action in own._actions for flag in action.option_strings]  # noqa: SLF001 - argparse offers no list
        word = surplus[0].partition("=")[0]
        if word.startswith("-"):
            hint = _hint(word, known, "--help lists the options")
            own.error(f"there is no option {word}: {hint}")
        own.error(f"{word!r} is one too many; options begin with --")
    return options


def _hint(word: str, known: Iterable[str], otherwise: str) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]}?" if close else otherwise


def _parser(
    words: Sequence[str],
) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Make the parser for a command line, importing only the commands that it names.

    Returns:
        the parser, and those of the commands.
    """
    parser = argparse.ArgumentParser(
        prog=program(),
        description="Generate backups, restore them with each engine, measure, verify, compare.",
        epilog=EPILOG.format(program()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version, and exit")
    shells, text = ("bash", "zsh", "tcsh"), "print what completes this command in bash, zsh or tcsh"
    parser.add_argument(
        "--print-completion", action=_Completion, metavar="SHELL", choices=shells, help=text
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    made = {}
    for name, text in COMMANDS.items():
        made[name] = command = commands.add_parser(name, help=text, description=text)
        if name in words:
            module = importlib.import_module(f"harness.cli.{name.replace('-', '_')}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser, made


class _Completion(argparse.Action):
    """Prints what completes the command line in a shell."""

    def __call__(
        self, parser: argparse.ArgumentParser, _: object, shell: object, *__: object
    ) -> None:
        from harness.cli.completion import completion  # noqa: PLC0415 - only this needs it

        write(completion(*_parser(tuple(COMMANDS)), str(shell)))
        parser.exit()


class _Version(argparse.Action):
    """Prints the version, which takes a while to find out."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from harness.trial.environment import version  # noqa: PLC0415 - it imports psutil

        write(f"restorebench {version()}\n")
        parser.exit()
