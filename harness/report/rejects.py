"""The records that engines rejected, by table and reason, as their own reports have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.analysis.figures import RunFigures
    from harness.model.record import Trial


class _Reason(msgspec.Struct):
    """The fields of a reason that are shown."""

    reason: str
    count: int
    sqlstate: str | None = None
    example: str = ""


class _Table(msgspec.Struct):
    """The fields of a table that are shown."""

    table: str
    reasons: tuple[_Reason, ...] = ()


class _Report(msgspec.Struct):
    """The field of an engine's report that is shown."""

    tables: tuple[_Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """Records of one table that an engine rejected for one reason."""

    engine: str
    table: str
    reason: str
    sqlstate: str | None
    count: int
    example: str


def rejected(of: RunFigures) -> tuple[Rejected, ...]:
    """Return what each engine rejected in its median trial, or its last if none is ok."""
    return tuple(
        each
        for engine in of.engines
        for each in _of_engine(engine.engine, _trial(of, engine.engine))
    )


def _trial(of: RunFigures, engine: str) -> Trial | None:
    own = of.samples(engine)
    return own.median or next(reversed(own.trials), None)


def _of_engine(engine: str, trial: Trial | None) -> Iterator[Rejected]:
    """Yield the reasons in a trial's report, the most frequent first."""
    if trial is None:
        return
    try:
        report = msgspec.json.decode(trial.report, type=_Report | None)
    except msgspec.DecodeError:  # an engine may write a report of any form
        return
    found = [
        Rejected(engine, table.table, each.reason, each.sqlstate, each.count, each.example)
        for table in (report.tables if report else ())
        for each in table.reasons
    ]
    yield from sorted(found, key=lambda each: (-each.count, each.table))
