"""The formats of export that are known, in the order in which they are looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restore.source.formats.format import Format

FORMATS: tuple[Format, ...] = ()


def format_named(name: str) -> Format:
    """Return the format of a name that ``--format`` takes.

    Raises:
        KeyError: there is none.
    """
    return {each.name: each for each in FORMATS}[name]
