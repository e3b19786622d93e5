"""The command line: parsers made from the table of options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, NoReturn

from restore.cli import help_texts
from restore.cli.option_table import GROUPS, OPTIONS, Command
from restore.cli.option_values import FLAG
from restore.errors import UsageError
from restore.remote.path import is_url, to_path
from restore.text import escape_controls, hide_secrets, looks_like_dsn, program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restore.remote.path import BackupPath

SHELLS = ("bash", "zsh", "tcsh")
_COMMANDS: tuple[Command, ...] = ("retry", "repair", "infer")
Given = bool | str | list[str]


class Arguments(NamedTuple):
    """A parsed command line. ``given`` holds the options that stand on it and no others."""

    task: Literal["restore", "retry", "repair", "infer", "schema"]
    path: BackupPath
    given: dict[str, Given]


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print over several lines."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{hide_secrets(escape_controls(message))}; --help lists the options")


class _Version(argparse.Action):
    """Looks the version up only if it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from restore.version import version  # noqa: PLC0415 - only this needs it

        print(f"restorebench {version()}")  # noqa: T201 - as --help prints
        parser.exit()


class _Completion(argparse.Action):
    """Prints what completes the command line in a shell."""

    def __call__(
        self, parser: argparse.ArgumentParser, _: object, shell: object, *__: object
    ) -> NoReturn:
        from restore.cli.completion import completion  # noqa: PLC0415 - only this needs it

        commands: dict[str, argparse.ArgumentParser] = {n: _parser(n) for n in _COMMANDS}
        print(completion(parser, commands, str(shell)))  # noqa: T201 - as --help prints
        parser.exit()


def parse(words: Sequence[str]) -> Arguments:
    """Parse a command line; ``--help`` and ``--version`` print and end the process.

    Raises:
        UsageError: it is not valid.
    """
    named = words[0] if words and words[0] in _COMMANDS else ""
    command: Command = named or "restore"
    parser = _parser(command)
    namespace, surplus = parser.parse_known_args(words[1:] if named else words)
    given = vars(namespace)
    if surplus:
        raise UsageError(_surplus(surplus, parser))
    if given.pop("report_schema", False):
        return Arguments("schema", Path(), {})
    if command == "repair":
        return Arguments("repair", Path(), given)
    path = given.pop("path", None)
    name = help_texts.PATHS[command]
    if path is None:
        target = "" if command == "infer" else " --dsn URL"
        raise UsageError(f"{name} is missing: type {parser.prog} {name}{target}, or --help")
    if looks_like_dsn(path) and not is_url(path):
        raise UsageError(f"{name} is a connection string: write it after --dsn")
    return Arguments(command, to_path(path), given)


def _surplus(words: list[str], parser: argparse.ArgumentParser) -> str:
    flags = [word.partition("=")[0] for word in words if word.startswith("-")]
    if not flags:
        word = "another word" if looks_like_dsn(words[0]) else repr(escape_controls(words[0]))
        return f"{word} is one too many: give at most one path; options begin with --"
    import difflib  # noqa: PLC0415 - only a typo needs it

    known = [flag for action in parser._actions for flag in action.option_strings]  # noqa: SLF001 - argparse offers no list
    close = difflib.get_close_matches(flags[0], known, n=1)
    hint = f"did you mean {close[0]}?" if close else "--help lists the options"
    return f"there is no option {hide_secrets(escape_controls(flags[0]))}: {hint}"


def _parser(command: Command) -> _Parser:
    path, name = help_texts.PATHS[command], program()
    parser = _Parser(
        prog=name if command == "restore" else f"{name} {command}",
        usage=" ".join(filter(None, ["%(prog)s", path, "[options]"])),
        description=help_texts.DESCRIPTIONS[command].format(name),
        epilog=help_texts.EXAMPLES.format(name) + "\n" + help_texts.EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    if command == "restore":
        text = "print the JSON Schema of the report"
        parser.add_argument("--report-schema", action="store_true", help=text)
        text = "print what completes this command in bash, zsh or tcsh"
        parser.add_argument(
            "--print-completion", action=_Completion, metavar="SHELL", choices=SHELLS, help=text
        )
    if path:
        parser.add_argument("path", nargs="?", metavar=path, help=help_texts.PATH_HELP[command])
    for title, options in GROUPS.items():
        group = parser.add_argument_group(title)
        for option in options:
            if command in option.commands:
                _add(group, option.name)
    return parser


def _add(group: argparse._ArgumentGroup, name: str) -> None:
    option = OPTIONS[name]
    if option.value is FLAG:
        group.add_argument(option.flag, action=argparse.BooleanOptionalAction, help=option.help)
        return
    default = f" (default: {option.default})".replace("%", "%%")
    group.add_argument(
        option.flag,
        action="append" if option.value.is_repeatable else "store",
        metavar=option.metavar,
        help=option.help + default,
    )
