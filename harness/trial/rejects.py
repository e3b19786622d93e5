"""Compares an engine's rejects with the damage in the ground truth, record by record."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from harness.trial.output import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.model.manifest import Damage, Manifest

_WHITE_SPACE = b" \t\r\n"


class _Reject(msgspec.Struct):
    """The compared fields of a line of ``<rejects>/<table>.jsonl`` (``docs/interfaces.md``)."""

    table: str
    ordinal: int | None
    offset: int | None = None
    message: str | None = None
    raw: str | None = None
    raw_base64: str | None = None


class Difference(NamedTuple):
    """How a table's rejects differ from the ground truth, in records.

    ``unlike`` counts those that are rightly rejected, but whose line has not the bytes of the
    record, their place in the file, or a reason.
    """

    missing: int
    surplus: int
    unlike: int
    expected: int
    is_known: bool = True

    def __str__(self) -> str:
        if not self.is_known:
            return "rejects of a table that the dataset does not have"
        text = (
            f"rejects: {self.missing:,} of {self.expected:,} missing, "
            f"{self.surplus:,} rejected that could be restored"
        )
        if self.unlike:
            text += f", {self.unlike:,} with other bytes, another offset or no message"
        return text


def differences(folder: Path, manifest: Manifest) -> dict[str, Difference]:
    """Return, for each table whose rejects differ from the ground truth, how they differ.

    Every record that cannot be restored must be there once, as it stands in the file, and no
    other. For a file with damage between records, lines without an ordinal or with one past the end
    are ignored.

    Raises:
        ValueError: a file of rejects cannot be read; the message says which and why.
    """
    known = {table.table: table for table in manifest.tables}
    lost = {name: manifest.lost_records(name) for name in known}
    seen: dict[str, set[int]] = {name: set() for name in known}
    surplus, unlike = dict.fromkeys(known, 0), dict.fromkeys(known, 0)
    unknown: dict[str, int] = {}
    for reject in _read(folder):
        name, ordinal = reject.table, reject.ordinal
        if name not in known:
            unknown[name] = unknown.get(name, 0) + 1
        elif ordinal is None or ordinal >= known[name].records:
            surplus[name] += not manifest.is_torn(name)
        elif ordinal not in lost[name] or ordinal in seen[name]:
            surplus[name] += 1
        else:
            seen[name].add(ordinal)
            unlike[name] += not _is_record(reject, lost[name][ordinal])
    found = {
        name: Difference(
            len(lost[name]) - len(seen[name]), surplus[name], unlike[name], len(lost[name])
        )
        for name in known
    }
    return {
        name: difference
        for name, difference in found.items()
        if difference.missing or difference.surplus or difference.unlike
    } | {name: Difference(0, lines, 0, 0, is_known=False) for name, lines in unknown.items()}


def _is_record(reject: _Reject, damage: Damage) -> bool:
    """Return whether a line has a reason, and the record's bytes from the right place.

    White space around a record is no part of it.
    """
    try:
        raw = (
            base64.b64decode(reject.raw_base64, validate=True)
            if reject.raw_base64 is not None
            else (reject.raw or "").encode()
        )
    except (binascii.Error, UnicodeEncodeError):
        return False
    bare = raw.lstrip(_WHITE_SPACE)
    start = None if reject.offset is None else reject.offset + len(raw) - len(bare)
    digest = hashlib.sha256(bare.rstrip(_WHITE_SPACE)).hexdigest()
    return bool(reject.message) and (start, digest) == (damage.offset, damage.sha256)


def _read(folder: Path) -> Iterator[_Reject]:
    """Yield all lines of an engine's rejects."""
    decoder = msgspec.json.Decoder(_Reject)
    for path in sorted(folder.glob("*.jsonl")):
        place = path.name
        try:
            with open_regular(path) as lines:
                for number, line in enumerate(lines, 1):
                    place = f"{path.name} line {number}"
                    yield decoder.decode(line)
        except OSError as error:
            raise ValueError(f"rejects: {place}: {error.strerror}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"rejects: {place}: {error}") from error
