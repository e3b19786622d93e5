"""An engine that takes the time and memory written in its name, and touches no database.

It implements the same interface as the real ones (``model.outcome.AttemptFunction``), so that
scheduling, statistics and tables can be tested in milliseconds:

    fake:wall=0.2,mib=50                every trial takes 0.2 s and 50 MiB, and restores every row
    fake:wall=0.2/0.3/0.25              the trials take these in turn
    fake:wall=9,end=timeout,restored=0  never gets there
    fake:wall=1,exit=3,restored=0.98    says that it has rejects, and lacks two rows in a hundred

    fake:wall=2/1,other=1.5/0             other processes keep 1.5 cores busy in the first trial

Nothing sleeps and nothing is allocated: the figures are only said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from harness.engines.engine import Engine
from harness.model.errors import InputError
from harness.model.outcome import Attempt, End, Outcome
from harness.model.record import Noise, TableResult

if TYPE_CHECKING:
    from harness.model.manifest import Manifest

PREFIX = "fake:"

_MIB = 1 << 20
_USAGE = (
    "a fake engine is written fake:KEY=VALUE,... with wall (s), mib and other (cores), "
    "several values in turn as in wall=0.2/0.3, and with exit, signal, end and restored (0 to 1)"
)


class _Traits(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a name can say."""

    wall: str = "0.1"
    mib: str = "50"
    exit: int = 0
    signal: int | None = None
    end: End = End.EXITED
    restored: float = 1.0
    other: str = "0"


@dataclass(slots=True)
class FakeEngine:
    """Tells the next of its figures each time that it is tried."""

    manifest: Manifest
    walls_s: tuple[float, ...]
    peaks_bytes: tuple[int, ...]
    others: tuple[float, ...]
    traits: _Traits
    tries: int = 0

    def __call__(self) -> Attempt:
        """Return the attempt that the name describes."""
        wall_s = self.walls_s[self.tries % len(self.walls_s)]
        peak_bytes = self.peaks_bytes[self.tries % len(self.peaks_bytes)]
        other_cores = self.others[self.tries % len(self.others)]
        self.tries += 1
        signalled = self.traits.signal is not None
        outcome = Outcome(
            end=End.SIGNALLED if signalled else self.traits.end,
            exit_code=self.traits.exit if self.traits.end is End.EXITED and not signalled else None,
            signal=self.traits.signal,
            wall_s=wall_s,
            user_s=wall_s,
            system_s=0.0,
            peak_bytes=peak_bytes,
            peak_source="fake",
        )
        return Attempt(outcome=outcome, tables=self._tables(), noise=Noise(other_cores=other_cores))

    def _tables(self) -> tuple[TableResult, ...]:
        return tuple(
            TableResult(
                table=table.table,
                expected=table.rows,
                found=round(table.rows * self.traits.restored),
                checksum_match=self.traits.restored == 1,
            )
            for table in self.manifest.tables
        )


def engine(name: str) -> Engine:
    """Return the entry of a fake engine.

    Raises:
        InputError: its name says nothing that a fake engine can do.
    """
    _figures(_traits(name))
    return Engine(name=name, template=())


def fake(name: str, manifest: Manifest) -> FakeEngine:
    """Return the fake engine that ``name`` describes, for the dataset of ``manifest``."""
    traits = _traits(name)
    walls_s, peaks_mib, others = _figures(traits)
    peaks_bytes = tuple(round(mib * _MIB) for mib in peaks_mib)
    return FakeEngine(manifest, walls_s, peaks_bytes, others, traits)


def _traits(name: str) -> _Traits:
    pairs = [part.partition("=")[::2] for part in name.removeprefix(PREFIX).split(",")]
    try:
        return msgspec.convert(dict(pairs), _Traits, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"{name!r}: {error}; {_USAGE}") from error


def _figures(traits: _Traits) -> tuple[tuple[float, ...], ...]:
    """Return the times, the peaks and the noise that a name tells, each in its turn."""
    try:
        walls_s, peaks_mib, others = (
            tuple(map(float, told.split("/"))) for told in (traits.wall, traits.mib, traits.other)
        )
    except ValueError as error:
        raise InputError(f"{error}; {_USAGE}") from error
    if not all(value > 0 for value in (*walls_s, *peaks_mib)):
        raise InputError(f"wall and mib must be above 0; {_USAGE}")
    return walls_s, peaks_mib, others
