"""What an engine holds on its heap, and which functions hold it: a pass of its own, by memray.

It is made after the trials and never timed, for tracing makes an engine slower and fatter: nothing
of it enters the statistics. The engine runs as in a trial, on a fresh database, and is verified as
one. Each Python process of it is traced, workers as well (``heap_site.py``); one that comes about
by fork, without a program of its own, is not.
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
from harness.trial import heap_recordings as heap_read
from harness.trial import heap_site
from harness.trial.judge import judge
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from harness.engines.registry import Engine
    from harness.trial.attempt import TrialContext

# How many times as long as a trial a traced run may take before it is stopped.
TIMEOUT_FACTOR = 5

NOT_TRACED = "none of its processes was one of Python that could be traced"
NO_MEMRAY = "its Python has no memray"


def require() -> None:
    """See that memray is there.

    Raises:
        InputError: it is not.
    """
    if importlib.util.find_spec("memray") is None:
        raise InputError(
            "--memray: memray is not installed; install the extra restorebench[harness] "
            "(there is none for Windows), or leave it out"
        )


def skipped(engine: Engine, why: str) -> Heap:
    """Return what stands in the record of an engine that is not traced."""
    return Heap(engine=engine.name, status=Status.SKIPPED, detail=why)


def trace(engine: Engine, stage: TrialContext, flame_graph: Path) -> Heap:
    """Run an engine traced, once.

    Args:
        engine: the engine.
        stage: as for a trial.
        flame_graph: the page to draw its flame graph on; of the process that held the most.

    Raises:
        HarnessError: the database could not be made, or the launcher failed.
    """
    known = engine.limitation(stage.manifest)
    if known is not None and known.skip:
        return skipped(engine, known.why)
    with tempfile.TemporaryDirectory(prefix="restorebench-") as scratch:
        site, heaps = Path(scratch) / "site", Path(scratch) / "heaps"
        for folder in (site, heaps):
            folder.mkdir()
        shutil.copy(heap_site.__file__, site / "sitecustomize.py")
        limits = Limits(stage.limits.timeout_s * TIMEOUT_FACTOR, stage.limits.memory_bytes)
        stage = dataclasses.replace(
            stage, limits=limits, path=(site,), variables={heap_site.FOLDER: str(heaps)}
        )
        tried = trial.attempt(engine, stage)
        status, detail = judge(engine, stage.manifest, tried)
        found = Heap(engine=engine.name, status=status, detail=detail)
        secrets = [secret for secret in stage.server.env.values() if secret]
        return _read_recordings(found, heaps, flame_graph, secrets)


def _read_recordings(found: Heap, heaps: Path, flame_graph: Path, secrets: list[str]) -> Heap:
    """Add what was recorded, and draw the flame graph."""
    read, unreadable = heap_read.recordings(heaps)
    details = [found.detail] if found.detail else []
    if unreadable:
        details.append(f"what memray wrote of {unreadable} of its processes cannot be read")
    if not read:
        missing = (heaps / heap_site.MISSING).exists()
        details.append(NO_MEMRAY if missing else NOT_TRACED)
        return msgspec.structs.replace(found, detail="; ".join(details))
    largest = max(read, key=lambda recording: recording.peak_bytes)
    problem = heap_read.draw(largest, flame_graph, secrets)
    if problem is not None:
        details.append(f"no flame graph: {problem}")
    return msgspec.structs.replace(
        found,
        detail="; ".join(details) or None,
        processes=len(read),
        peak_bytes=sum(recording.peak_bytes for recording in read),
        allocations=sum(recording.allocations for recording in read),
        functions=heap_read.functions(read),
        flame_graph=flame_graph.name if problem is None else None,
    )
