"""Why a record was not restored."""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from msgspec.structs import force_setattr

from restore.text import clip

# How a row was loaded, see docs/restore.md#the-ladder.
Level = Literal["batch", "split", "row", "literal"]
# What refused a record: reading it, loading it, or a constraint once all were loaded.
RejectLevel = Literal["read", "row", "literal", "constraint"]
RejectKind = Literal["rejected", "duplicate"]
# A value in a message, which differs from record to record, but not the name of a database object.
_VALUE = re.compile(
    r"""(?<![\w"'])(?<!column )(?<!relation )(?<!constraint )(?<!table )(?<!domain )"""
    r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')(?![\w"'])"""
)


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a record was refused; ``detail`` differs from record to record."""

    level: RejectLevel
    message: str
    detail: str = ""
    duplicate: bool = False
    sqlstate: str | None = None
    constraint: str | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "message", clip(self.message))
        force_setattr(self, "detail", clip(self.detail))

    @property
    def kind(self) -> RejectKind:
        """The kind of reject."""
        return "duplicate" if self.duplicate else "rejected"

    @property
    def group(self) -> str:
        """The message without values, which groups the reasons of several records."""
        return self.message if self.constraint else _VALUE.sub("...", self.message)

    @property
    def line(self) -> str:
        """Message and detail in one line."""
        return f"{self.message}: {self.detail}" if self.detail else self.message
