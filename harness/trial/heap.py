"""Traces an engine's heap with memray: its peak, and the functions that hold it.

The pass runs after the trials and is never timed, since tracing takes time and memory: nothing of
it enters the statistics. The engine runs as in a trial, on a fresh database, and is verified. Each
Python process is traced, workers too (``heap_site.py``), but not one that is forked without a
program of its own.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.model.errors import InputError
from harness.model.record import Heap, Status
from harness.trial import attempt as trial
from harness.trial import heap_recordings, heap_site
from harness.trial.judge import judge
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from harness.engines.engine import Engine
    from harness.trial.attempt import TrialContext

# The time limit of a traced run, as a multiple of a trial's.
TIMEOUT_FACTOR = 5

NOT_TRACED = "none of its processes could be traced: no Python"
NO_MEMRAY = "its Python has no memray"


def require() -> None:
    """Check that memray is installed.

    Raises:
        InputError: it is not.
    """
    if importlib.util.find_spec("memray") is None:
        raise InputError(
            "--memray: memray is not installed; install the extra restorebench[harness] "
            "(not available on Windows), or omit the option"
        )


def skipped(engine: Engine, why: str) -> Heap:
    """Return the record of an engine that is not traced."""
    return Heap(engine=engine.name, status=Status.SKIPPED, detail=why)


def trace(engine: Engine, context: TrialContext, flame_graph: Path) -> Heap:
    """Run an engine traced, once.

    Args:
        engine: the engine.
        context: as for a trial.
        flame_graph: the page to write, for the process that held most.

    Raises:
        HarnessError: the database could not be made, or the launcher failed.
    """
    if why := engine.skipped_for(context.manifest):
        return skipped(engine, why)
    with tempfile.TemporaryDirectory(prefix="restorebench-") as scratch:
        site, heaps = Path(scratch) / "site", Path(scratch) / "heaps"
        for folder in (site, heaps):
            folder.mkdir()
        shutil.copy(heap_site.__file__, site / "sitecustomize.py")
        limits = Limits(context.limits.timeout_s * TIMEOUT_FACTOR, context.limits.memory_bytes)
        context = dataclasses.replace(
            context, limits=limits, path=(site,), variables={heap_site.FOLDER: str(heaps)}
        )
        tried = trial.attempt(engine, context)
        status, detail = judge(engine, context.manifest, tried)
        found = Heap(engine=engine.name, status=status, detail=detail)
        secrets = [secret for secret in context.server.env.values() if secret]
        return _read_recordings(found, heaps, flame_graph, secrets)


def _read_recordings(found: Heap, heaps: Path, flame_graph: Path, secrets: list[str]) -> Heap:
    """Add the recordings to the result, and draw the flame graph."""
    read, unreadable = heap_recordings.recordings(heaps)
    details = [found.detail] if found.detail else []
    if unreadable:
        details.append(f"the recordings of {unreadable} of its processes cannot be read")
    if not read:
        missing = (heaps / heap_site.MISSING).exists()
        details.append(NO_MEMRAY if missing else NOT_TRACED)
        return msgspec.structs.replace(found, detail="; ".join(details))
    largest = max(read, key=lambda recording: recording.peak_bytes)
    problem = heap_recordings.draw(largest, flame_graph, secrets)
    if problem is not None:
        details.append(f"no flame graph: {problem}")
    return msgspec.structs.replace(
        found,
        detail="; ".join(details) or None,
        processes=len(read),
        peak_bytes=sum(recording.peak_bytes for recording in read),
        allocations=sum(recording.allocations for recording in read),
        functions=heap_recordings.functions(read),
        flame_graph=flame_graph.name if problem is None else None,
    )
