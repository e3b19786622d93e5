"""Writes what completes a command line in a shell, by shtab, which is an extra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restore.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_FILES = frozenset({"BACKUP", "REJECTS", "FILE"})


def completion(
    parser: argparse.ArgumentParser, commands: Mapping[str, argparse.ArgumentParser], shell: str
) -> str:
    """Return the script that completes a command line in a shell.

    Args:
        parser: the parser without a command.
        commands: the parsers of the commands.
        shell: ``bash``, ``zsh`` or ``tcsh``.

    Raises:
        UsageError: shtab is not installed.
    """
    try:
        import shtab  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise UsageError(
            "completion needs shtab: python -m pip install 'restorebench[completion]'"
        ) from error
    named = parser.add_subparsers()
    for name, command in commands.items():
        named.add_parser(name, parents=[command], add_help=False, help=command.description)
    for each in (parser, *commands.values()):
        for action in each._actions:  # noqa: SLF001 - argparse offers no list
            if action.metavar in _FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined] # shtab's own
            elif action.metavar == "DIR":
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell=shell))
