"""Writes records that could not be restored, with the reason: one JSON line each."""

from __future__ import annotations

import contextlib
import os
from itertools import chain
from typing import TYPE_CHECKING, Protocol, Self

import msgspec
from msgspec.structs import replace

from restore.rejects.encoding import PIECE_BYTES, encode_raw, split_line
from restore.rejects.folder import create, damaged_error, ends_with_newline, file_names, write_error
from restore.rejects.ordinals import OrdinalSet
from restore.report.reasons import RejectKind, RejectLevel  # noqa: TC001 - msgspec reads the annotations
from restore.source.recovery import DECODE_ERRORS

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from restore.report.reasons import Reason
    from restore.source.reader import RawRecord


class Reject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reject file's line without the record's bytes after it. See docs/interfaces.md."""

    table: str
    schema: str
    ordinal: int | None
    offset: int | None
    length: int
    kind: RejectKind
    level: RejectLevel
    message: str
    sqlstate: str | None = None
    constraint: str | None = None


_reject = msgspec.json.Decoder(Reject)


class RejectSink(Protocol):
    """Takes the rejects of a shard while it is loaded.

    Attributes:
        size: how many bytes of lines it has taken.
    """

    size: int

    def add(self, record: RawRecord, reason: Reason) -> None:
        """Write a record.

        Raises:
            LoadError: it cannot be written; nothing may be lost, so the restore stops.
        """

    def rollback_on_error(self) -> AbstractContextManager[None]:
        """Restore the present content if the block fails."""

    def sync(self) -> None:
        """Make what was added durable, at the latest with the transaction that is open."""


def line_pieces(
    schema: str, table: str, raw: bytes, *, ordinal: int | None, offset: int | None, reason: Reason
) -> Iterator[bytes | memoryview]:
    """Yield the line of a reject, with its end, in pieces."""
    line = Reject(
        table=table,
        schema=schema,
        ordinal=ordinal,
        offset=offset,
        length=len(raw),
        kind=reason.kind,
        level=reason.level,
        message=reason.line,
        sqlstate=reason.sqlstate,
        constraint=reason.constraint,
    )
    return chain((msgspec.json.encode(line)[:-1],), encode_raw(raw))


class RejectFile:
    """The reject file of one table, created when first needed; an older one is renamed.

    Args:
        folder: its folder; created with it.
        schema: the table's schema.
        table: the table's name, which a hostile backup may have chosen: it cannot leave ``folder``.
        name: the file's name; None: one that is made of the table's.
        keeping: so many bytes of a file that is there are ours and stay, the rest of it does not;
            None: none is.

    Raises:
        LoadError: less than that is there.
    """

    def __init__(
        self,
        folder: Path,
        schema: str,
        table: str,
        name: str | None = None,
        *,
        keeping: int | None = None,
    ) -> None:
        self.path = folder / (name or file_names([table])[0])
        self.ordinals = OrdinalSet()
        self._schema = schema
        self._table = table
        self._file: io.FileIO | None = None
        self.size = 0
        self._is_synced = True
        self._added: list[int] | None = None  # since when it may be undone
        if keeping is not None:
            self.truncate_to(keeping)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.sync()
        self.close()

    @property
    def has_rejects(self) -> bool:
        """Tell if the file holds a reject."""
        return self.size > 0

    def close(self) -> None:
        """Close the file; remove it if it is empty."""
        if self._file is not None:
            self._file.close()
            if not self.size:
                self.path.unlink(missing_ok=True)

    def reset(self) -> None:
        """Remove all rejects: the table is reloaded from its beginning."""
        self.ordinals.clear()
        self.size = 0
        if self._file is not None:
            self._file.truncate(0)
            self._is_synced = False

    def truncate_to(self, size: int) -> None:
        """Continue an existing file after ``size`` bytes; what follows them is removed.

        Raises:
            LoadError: there is less, it is damaged, or the file cannot be read.
        """
        try:
            there = self.path.stat().st_size if self.path.exists() else 0
            if there < size:
                raise damaged_error(self.path, "it holds less than the restore had written there")
            if not size:
                self.path.unlink(missing_ok=True)
                return
            os.truncate(self.path, size)
            if not ends_with_newline(self.path):
                raise damaged_error(self.path, "its last line has no end")
            for reject, _ in _lines_of(self.path):
                if reject.ordinal is not None:
                    self.ordinals.add(reject.ordinal)
            self._file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise write_error(self.path, error) from error
        self.size = size

    def discard(self) -> None:
        """Close the file and remove it."""
        if self._file is not None:
            self._file.close()
        self.path.unlink(missing_ok=True)

    def replace_by(self, other: Path, size: int) -> None:
        """Replace this file by ``size`` bytes of another; by nothing if that does not exist.

        Raises:
            LoadError: it cannot be read.
        """
        if self._file is not None:
            self._file.close()
            self._file = None
        if other.exists():
            other.replace(self.path)
        self.ordinals.clear()
        self.truncate_to(size)

    @contextlib.contextmanager
    def rollback_on_error(self) -> Iterator[None]:
        """Restore the file's present content if the block fails."""
        size, added = self.size, self._added
        new: list[int] = []
        self._added = new
        try:
            yield
        except BaseException:
            if self._file is not None:
                self._file.truncate(size)
            self.size = size
            for ordinal in new:
                self.ordinals.discard(ordinal)
            raise
        else:
            if added is not None:
                added += new
        finally:
            self._added = added

    def sync(self) -> None:
        """Flush new lines to the disk.

        Raises:
            LoadError: it cannot be.
        """
        try:
            if self._file is not None and not self._is_synced:
                os.fsync(self._file.fileno())
                self._is_synced = True
        except OSError as error:
            raise write_error(self.path, error) from error

    def add(self, record: RawRecord, reason: Reason) -> None:
        """Write a record.

        Raises:
            LoadError: the file cannot be written; nothing may be lost, so the restore stops.
        """
        if self._added is not None and record.ordinal not in self.ordinals:
            self._added.append(record.ordinal)
        self.ordinals.add(record.ordinal)
        self._write(record.raw, record.ordinal, record.offset, reason)

    def add_row(self, raw: bytes, reason: Reason) -> None:
        """Write a row that was deleted from the table and whose record was not found again."""
        self._write(raw, None, None, reason)

    def append_from(self, part: Path, before: int | None) -> None:
        """Append the rejects of a range of the table's file; their own file stays.

        Args:
            part: their file; that there is none means that there are none.
            before: how many records precede the range; None: unknown.

        Raises:
            LoadError: the file cannot be written.
        """
        if not part.exists():
            return
        for reject, record in _lines_of(part):
            known = before is not None and reject.ordinal is not None
            ordinal = before + reject.ordinal if known else None  # type: ignore[operator] # known
            if ordinal is not None:
                self.ordinals.add(ordinal)
            own = msgspec.json.encode(replace(reject, ordinal=ordinal))
            self._write_line((own[:-1], record), len(record))

    def _write(self, raw: bytes, ordinal: int | None, offset: int | None, reason: Reason) -> None:
        line = line_pieces(
            self._schema, self._table, raw, ordinal=ordinal, offset=offset, reason=reason
        )
        self._write_line(line, len(raw))

    def append_lines(self, lines: bytes) -> None:
        """Write the bytes of lines; the last of them may end with a later call.

        Raises:
            LoadError: the file cannot be written.
        """
        self._write_line((lines,), len(lines))

    def write_line(self, line: bytes) -> None:
        """Write one line, unbuffered.

        Raises:
            LoadError: the file cannot be written.
        """
        self._write_line((line, b"\n"), len(line))

    def _write_line(self, pieces: Iterable[bytes | memoryview], about: int) -> None:
        """Write a line of about ``about`` bytes; in one piece unless it is large."""
        size = self.size
        try:
            if self._file is None:
                self._file = create(self.path)
            self._is_synced = False
            for piece in pieces if about > PIECE_BYTES else (b"".join(pieces),):
                rest = memoryview(piece)
                size += len(rest)
                while rest:
                    rest = rest[self._file.write(rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):  # no part of a line is worth keeping
                self._file and self._file.truncate(self.size)
            raise write_error(self.path, error) from error
        self.size = size


def _lines_of(path: Path) -> Iterator[tuple[Reject, memoryview]]:
    """Yield each reject of a file, and its record as it is on the line.

    A last line without an end was being written when its writer was killed.

    Raises:
        LoadError: a line is none, as after a power loss.
    """
    with path.open("rb") as lines:
        for number, line in enumerate((line for line in lines if line.endswith(b"\n")), 1):
            own, record = split_line(line)
            try:
                if b"\0" in line:
                    raise msgspec.DecodeError
                reject = _reject.decode(own)
            except DECODE_ERRORS as error:
                raise damaged_error(path, f"line {number:,} is no reject") from error
            yield reject, record
