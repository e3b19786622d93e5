"""Records that could not be restored, kept with the reason: one JSON line each."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, BinaryIO, Literal, Self

import msgspec

from restore.errors import LoadError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from restore.read import RawRecord

Level = Literal["read", "row", "constraint"]
_UNSAFE = re.compile(r"[^\w.\-]")


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a record was not restored, and the rung of the ladder that gave it up."""

    level: Level
    message: str
    duplicate: bool = False
    sqlstate: str | None = None
    constraint: str | None = None


class Reject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a reject file. See docs/formats.md."""

    table: str
    ordinal: int | None
    offset: int | None
    length: int
    kind: Literal["rejected", "duplicate"]
    level: Level
    message: str
    sqlstate: str | None = None
    constraint: str | None = None
    raw: str | None = None
    raw_base64: str | None = None


class RejectFile:
    """The reject file of one table, made when the first record needs it.

    Args:
        folder: where it goes; made with it.
        table: the table's name, which a hostile backup may have chosen: it cannot leave ``folder``.
    """

    def __init__(self, folder: Path, table: str) -> None:
        self.path = folder / f"{_UNSAFE.sub('_', table).lstrip('.') or '_'}.jsonl"
        self.ordinals: set[int] = set()
        self._table = table
        self._file: BinaryIO | None = None
        self._began_at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def forget(self) -> None:
        """Start anew: the table is loaded once more from its beginning."""
        self.ordinals.clear()
        if self._file is not None:
            self._file.truncate(self._began_at)

    def add(self, record: RawRecord, reason: Reason) -> None:
        """Keep a record.

        Raises:
            LoadError: the file cannot be written; nothing may be lost, so the restore stops.
        """
        self.ordinals.add(record.ordinal)
        self._write(record.raw, record.ordinal, record.offset, reason)

    def add_row(self, raw: bytes, reason: Reason) -> None:
        """Keep a row that was taken out of the table and whose record was not found again."""
        self._write(raw, None, None, reason)

    def _write(self, raw: bytes, ordinal: int | None, offset: int | None, reason: Reason) -> None:
        text, encoded = _as_text(raw)
        line = Reject(
            table=self._table,
            ordinal=ordinal,
            offset=offset,
            length=len(raw),
            kind="duplicate" if reason.duplicate else "rejected",
            level=reason.level,
            message=reason.message,
            sqlstate=reason.sqlstate,
            constraint=reason.constraint,
            raw=text,
            raw_base64=encoded,
        )
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab")
                self._began_at = self._file.tell()
            self._file.write(msgspec.json.encode(line) + b"\n")
            self._file.flush()
        except OSError as error:
            raise LoadError(
                f"cannot write the reject file {self.path}: {error.strerror}; make room, or choose"
                " another folder with --rejects, and restore again with --clean"
            ) from error


def _as_text(raw: bytes) -> tuple[str | None, str | None]:
    try:
        return raw.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(raw).decode()
