"""Writes what completes a command line in a shell, by shtab, which is an extra."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.model.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def completion(
    parser: argparse.ArgumentParser, commands: Mapping[str, argparse.ArgumentParser], shell: str
) -> str:
    """Return the script that completes a command line in a shell.

    Args:
        parser: the parser.
        commands: the parsers of its commands.
        shell: ``bash``, ``zsh`` or ``tcsh``.

    Raises:
        InputError: shtab is not installed.
    """
    try:
        import shtab  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise InputError(
            "completion needs shtab: python -m pip install 'restorebench[completion]'"
        ) from error
    for command in commands.values():
        for action in command._actions:  # noqa: SLF001 - argparse offers no list
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined] # shtab's own
    return str(shtab.complete(parser, shell=shell))
