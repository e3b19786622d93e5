"""Decides the status of a trial from its attempt; pure (``docs/interfaces.md``)."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from harness.model.outcome import End, Outcome
from harness.model.record import Status, TableResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.engines.engine import Engine
    from harness.model.manifest import Manifest
    from harness.model.outcome import Attempt

# A trial's detail names so many differences and counts the others.
_DETAIL_PARTS = 3


def judge(engine: Engine, manifest: Manifest, tried: Attempt) -> tuple[Status, str | None]:
    """Return the status of an attempt and the reason in a line; None if it is ``OK``."""
    outcome = tried.outcome
    stopped = _stopped(outcome)
    if stopped is not None:
        return stopped
    if outcome.exit_code not in engine.exit_codes:
        words = tried.last_line or "no output"
        return Status.ERROR, f"exit code {outcome.exit_code}: {words}"
    wrong = [*_differences(tried.tables), *tried.differences]
    if engine.keeps_rejects and (claim := _false_claim(outcome.exit_code, manifest)):
        wrong.append(claim)
    if not wrong:
        return Status.OK, None
    more = len(wrong) - _DETAIL_PARTS
    named = "; ".join(wrong[:_DETAIL_PARTS])
    return Status.WRONG_RESULT, f"{named}; and {more} more" if more > 0 else named


def difference(table: TableResult) -> str | None:
    """Describe how a table differs from the ground truth; None if it does not."""
    if table.error is not None:
        return table.error
    missing, surplus = table.expected - table.restored, table.found - table.restored
    if missing and surplus:
        return (
            f"{missing:,} of {table.expected:,} rows missing or changed, "
            f"{surplus:,} rows that are not of the backup"
        )
    if missing:
        return f"{missing:,} of {table.expected:,} rows missing"
    if surplus:
        return f"{surplus:,} extra rows"
    return None if table.checksum_match else "the checksum of the rows differs"


def _differences(tables: Sequence[TableResult]) -> list[str]:
    """Describe the differences, once for all tables with the same one."""
    by_text: dict[str, list[str]] = {}
    for table in tables:
        text = difference(table)
        if text is not None:
            by_text.setdefault(text, []).append(table.table)
    return [f"{', '.join(names)}: {text}" for text, names in by_text.items()]


def _stopped(outcome: Outcome) -> tuple[Status, str] | None:
    """Return the status of an engine that did not exit by itself."""
    match outcome.end:
        case End.NOT_STARTED:
            return Status.ERROR, f"could not be started: {outcome.error}"
        case End.TIMEOUT:
            return Status.TIMEOUT, f"stopped at the time limit, after {outcome.wall_s:.1f} s"
        case End.OOM:
            kernel = outcome.signal is not None
            reason = (
                "killed by the kernel: out of memory" if kernel else "stopped at the memory limit"
            )
            return Status.OOM, reason
        case End.SIGNALLED:
            return Status.KILLED, outcome.error or f"killed by {_signal_name(outcome.signal)}"
        case End.INTERRUPTED:
            return Status.INTERRUPTED, "stopped by a signal"
        case End.EXITED:
            return None


def _signal_name(number: int | None) -> str:
    try:
        return signal.Signals(number or 0).name
    except ValueError:
        return f"signal {number}"


def _false_claim(exit_code: int | None, manifest: Manifest) -> str | None:
    """Describe a wrong exit code: 3 means that there are rejects, 0 that there are none.

    Damage between records may be reported as a reject or not, so with it both are right.
    """
    lost = len(manifest.lost)
    if exit_code == 0 and any(damage.ordinal is not None for damage in manifest.lost):
        return f"exit code 0 (all restored), though {lost:,} records cannot be restored"
    if exit_code != 0 and not lost:
        return f"exit code {exit_code} (with rejects), though every record can be restored"
    return None
