"""Compares an engine's rejects with the damage in the ground truth."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model.manifest import Manifest


class _Reject(msgspec.Struct):
    """The fields of a line of ``<rejects>/<table>.jsonl`` that identify its record."""

    table: str
    ordinal: int | None


class Difference(NamedTuple):
    """How a table's rejects differ from the ground truth, in records."""

    missing: int
    surplus: int
    expected: int
    is_known: bool = True

    def __str__(self) -> str:
        if not self.is_known:
            return "rejects of a table that the dataset does not have"
        return (
            f"rejects: {self.missing:,} of {self.expected:,} missing, "
            f"{self.surplus:,} rejected that could be restored"
        )


def differences(folder: Path, manifest: Manifest) -> dict[str, Difference]:
    """Return, for each table whose rejects differ from the ground truth, how they differ.

    Every record that cannot be restored must be there once, and no other. Lines for damage between
    records, without an ordinal or with one past the end, are ignored.

    Raises:
        ValueError: a file of rejects cannot be read; the message says which and why.
    """
    kept = _read(folder)
    found = {}
    for table in manifest.tables:
        expected = Counter(manifest.lost_ordinals(table.table))
        found_ordinals = Counter(
            {
                ordinal: times
                for ordinal, times in kept.pop(table.table, Counter()).items()
                if ordinal < table.records
            }
        )
        if found_ordinals != expected:
            missing, surplus = (
                (expected - found_ordinals).total(),
                (found_ordinals - expected).total(),
            )
            found[table.table] = Difference(missing, surplus, expected.total())
    unknown = {
        table: Difference(0, ordinals.total(), 0, is_known=False)
        for table, ordinals in kept.items()
    }
    return found | unknown


def _read(folder: Path) -> dict[str, Counter[int]]:
    """Count the ordinals of each table in an engine's rejects."""
    kept: dict[str, Counter[int]] = {}
    decoder = msgspec.json.Decoder(_Reject)
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    reject = decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise ValueError(f"rejects: {path.name} line {number}: {error}") from error
                if reject.ordinal is not None:
                    kept.setdefault(reject.table, Counter())[reject.ordinal] += 1
    return kept
