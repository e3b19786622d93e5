"""Finds the first rejects of each reason in the reject files of a restore."""

from __future__ import annotations

from io import BufferedReader
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from restore.remote.path import RemotePath, to_path
from restore.report.reasons import Reason
from restore.text import clip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.remote.path import BackupPath
    from restore.report.model import ReasonCount, TableReport

_MOST = 3
# Longer lines are passed over, and of a shorter one so many characters are kept.
_LONGEST_LINE_BYTES = 1 << 18
_LONGEST_RAW = 2_000


class FirstReject(msgspec.Struct, frozen=True):
    """The fields of a reject file's line that are shown; ``raw`` is clipped."""

    kind: str
    message: str
    ordinal: int | None = None
    offset: int | None = None
    sqlstate: str | None = None
    constraint: str | None = None
    raw: str | None = None
    raw_base64: str | None = None

    def is_of(self, reason: ReasonCount) -> bool:
        """Tell if a record was refused for a reason."""
        if (self.kind, self.sqlstate) != (reason.kind, reason.sqlstate):
            return False
        said = Reason(level="row", message=self.message, constraint=self.constraint).group
        return said.startswith(reason.reason)


_lines = msgspec.json.Decoder(FirstReject)


def first_rejects(table: TableReport) -> dict[int, list[FirstReject]]:
    """Return the first rejects of each of a table's reasons, by the reason's index.

    Raises:
        OSError: the reject file cannot be read.
        msgspec.MsgspecError: it is damaged.
    """
    found: dict[int, list[FirstReject]] = {index: [] for index in range(len(table.reasons))}
    if table.rejects is None:
        return found
    with _open(to_path(table.rejects)) as file:
        for line in _short_lines(file):
            reject = _lines.decode(line)
            for index, reason in enumerate(table.reasons):
                if len(found[index]) < _MOST and reject.is_of(reason):
                    found[index].append(_clipped(reject))
                    break
            if all(len(each) >= min(_MOST, table.reasons[n].count) for n, each in found.items()):
                break
    return found


def _open(path: BackupPath) -> BinaryIO:
    if isinstance(path, RemotePath):
        return BufferedReader(path.open())
    return path.open("rb")


def _short_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines that are not too long."""
    is_start = True
    while line := file.readline(_LONGEST_LINE_BYTES):
        ends = line.endswith(b"\n")
        if is_start and ends:
            yield line
        is_start = ends


def _clipped(reject: FirstReject) -> FirstReject:
    raw = reject.raw if reject.raw is not None else reject.raw_base64
    return msgspec.structs.replace(reject, raw=clip(raw or "", _LONGEST_RAW), raw_base64=None)
