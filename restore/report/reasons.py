"""Why a record was not restored."""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from msgspec.structs import force_setattr

from restore.text import clipped

Level = Literal["read", "row", "literal", "constraint"]
Kind = Literal["rejected", "duplicate"]
# A value in a message, which differs from record to record, and no name of a thing of the schema.
_VALUE = re.compile(
    r"""(?<![\w"'])(?<!column )(?<!relation )(?<!constraint )(?<!table )(?<!domain )"""
    r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')(?![\w"'])"""
)


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a rung of the ladder gave a record up; ``detail`` differs from record to record."""

    level: Level
    message: str
    detail: str = ""
    duplicate: bool = False
    sqlstate: str | None = None
    constraint: str | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "message", clipped(self.message))
        force_setattr(self, "detail", clipped(self.detail))

    @property
    def kind(self) -> Kind:
        """The kind of reject that it makes."""
        return "duplicate" if self.duplicate else "rejected"

    @property
    def group(self) -> str:
        """What this reason has in common with those of other records."""
        return self.message if self.constraint else _VALUE.sub("...", self.message)

    @property
    def line(self) -> str:
        """All of it in one line."""
        return f"{self.message}: {self.detail}" if self.detail else self.message
