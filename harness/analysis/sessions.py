"""A session: one run as one observation of each engine, whatever the number of its rounds.

Pure: a record in, its medians and ranges out. Rounds of one session share the machine, the day and
the neighbours, so that they are not independent; sessions are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.analysis.figures import figures

if TYPE_CHECKING:
    from harness.analysis.stats import Summary
    from harness.model.record import Environment, Run


@dataclass(frozen=True, slots=True, order=True)
class Conditions:
    """What must be equal for the times of two sessions to be compared."""

    machine: str
    server: str
    profile: str
    scenario: str
    rows: int
    faults: str
    dataset: str
    jobs: str


@dataclass(frozen=True, slots=True)
class EngineSession:
    """The figures of one engine in one session; ``success`` is a share, None if unknown.

    ``at_least_s`` replaces ``wall_s`` if timeouts hide the median.
    """

    engine: str
    wall_s: Summary | None
    at_least_s: float | None
    peak_bytes: Summary | None
    success: float | None
    ok: int
    attempted: int


@dataclass(frozen=True, slots=True)
class Session:
    """One run: when, of which code, under which conditions, and each engine's figures."""

    run: str
    at: datetime
    commit: str | None
    is_dirty: bool
    conditions: Conditions
    engines: tuple[EngineSession, ...]


def session(run: Run) -> Session:
    """Reduce a run to a session."""
    return Session(
        run=run.id,
        at=datetime.fromisoformat(run.started_at).astimezone(UTC),
        commit=run.environment.commit,
        is_dirty=bool(run.environment.dirty),
        conditions=conditions(run),
        engines=tuple(
            EngineSession(
                engine=each.engine,
                wall_s=each.wall_s,
                at_least_s=each.at_least_s,
                peak_bytes=each.peak_bytes,
                success=None if each.success is None else each.success.rate,
                ok=each.ok,
                attempted=each.attempted,
            )
            for each in figures(run, reference=None).engines
            if each.attempted
        ),
    )


def conditions(run: Run) -> Conditions:
    """Return the conditions of a run."""
    dataset, server = run.dataset, run.server
    return Conditions(
        machine=machine(run.environment),
        server=f"{server.kind} PostgreSQL {server.version.split('.')[0]}"
        + (", through a relay" if run.parameters.get("traffic") else ""),
        profile=server.profile_name,
        scenario=dataset.scenario,
        rows=dataset.rows,
        faults=dataset.faults,
        # A generator of another version makes other records of the same arguments.
        dataset=f"seed {dataset.seed}, {dataset.style}, compression {dataset.compress}, "
        f"generator {dataset.generator}",
        jobs=str(run.parameters.get("jobs") or 1),
    )


def machine(environment: Environment) -> str:
    """Return the description of a machine, which filters search."""
    return f"{environment.cpu}, {environment.cores} cores, {environment.memory_bytes / 1e9:.0f} GB"
