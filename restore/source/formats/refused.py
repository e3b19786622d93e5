"""Exports that are recognised only to be refused by name, with the command that helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from restore.source.formats.format import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import FoundRecord, TableColumns


class Refused(Struct):
    """A format that cannot be restored faithfully.

    Args:
        advice: what the user can do.
        sign: tells if the start of a file is of this format.
    """

    name: str
    title: str
    recognised_by: str
    advice: str
    sign: Callable[[bytes], object]
    wrapper: frozenset[str] = frozenset()

    def detect(self, start: bytes) -> bool:
        """Tell if a file is of this format."""
        return bool(self.sign(start))

    def records(
        self,
        stream: ByteSource,  # noqa: ARG002 - as in the protocol
        tables: Mapping[str, TableColumns] | None,  # noqa: ARG002
    ) -> Iterator[FoundRecord]:
        """Raise FormatError, always."""
        raise FormatError(self.advice)
