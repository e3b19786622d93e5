"""Compares the rejects that an engine kept with the damage that the ground truth names."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

    from harness.manifest import Manifest


class _Reject(msgspec.Struct):
    """What of a line of ``<rejects>/<table>.jsonl`` says which record it is."""

    table: str
    ordinal: int | None


def differences(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Say, for each table whose rejects are not those of the ground truth, how they differ.

    Every record that cannot be restored must be there once, and no other. What an engine says of
    damage between records is its own affair: a line without an ordinal, or with one past the end.

    Raises:
        ValueError: a file of rejects cannot be read; the message says which and why.
    """
    kept = _read(folder)
    found = {}
    for table in manifest.tables:
        must = Counter(manifest.lost_ordinals(table.table))
        have = Counter(
            {
                ordinal: times
                for ordinal, times in kept.pop(table.table, Counter()).items()
                if ordinal < table.records
            }
        )
        if have != must:
            found[table.table] = _say((must - have).total(), (have - must).total(), must.total())
    found |= dict.fromkeys(kept, "rejects of a table that the dataset does not have")
    return found


def _say(missing: int, surplus: int, must: int) -> str:
    return f"rejects: {missing:,} of {must:,} missing, {surplus:,} that belong in the table"


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
