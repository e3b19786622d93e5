"""How an attempt ended: what the trial saw, before it is judged."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from harness.model.record import NO_REPORT, CpuCurve, Curve, Noise, TableResult


class End(enum.Enum):
    """What ended a command."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMEOUT = "timeout"
    OOM = "oom"
    INTERRUPTED = "interrupted"
    NOT_STARTED = "not_started"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended, its time and its peak memory.

    ``peak_bytes`` is what ``peak_source`` says: ``ru_maxrss`` or ``VmHWM``, the kernel's high-water
    mark of one process, or the largest sampled memory of a process and its children; the server's
    likewise. ``total_peak_bytes`` is the largest sum of engine and server at one time. The curves
    are both over time, and so is the processor time of each.
    """

    end: End
    exit_code: int | None = None
    signal: int | None = None
    wall_s: float | None = None
    user_s: float | None = None
    system_s: float | None = None
    peak_bytes: int | None = None
    peak_source: str | None = None
    curve: Curve | None = None
    server_peak_bytes: int | None = None
    server_peak_source: str | None = None
    server_curve: Curve | None = None
    total_peak_bytes: int | None = None
    cpu_curve: CpuCurve | None = None
    server_cpu_curve: CpuCurve | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """Outcome of one attempt: how the engine ended, what the tables hold, what it printed.

    ``differences`` describe what beside the rows is not as before; ``without_statistics`` names
    tables that were not analyzed; ``unmetered`` is why the server's memory is unknown, if it is;
    ``sent_curve`` and ``received_curve`` are the traffic, if it was counted.
    """

    outcome: Outcome
    tables: tuple[TableResult, ...]
    differences: tuple[str, ...] = ()
    without_statistics: tuple[str, ...] = ()
    noise: Noise | None = None
    unmetered: str | None = None
    sent_curve: Curve | None = None
    received_curve: Curve | None = None
    last_line: str | None = None
    report: msgspec.Raw = field(default_factory=lambda: NO_REPORT)


class AttemptFunction(Protocol):
    """The interface between a run and what it measures: one engine, once, on a fresh target."""

    def __call__(self) -> Attempt:
        """Run the engine once and return its outcome."""
