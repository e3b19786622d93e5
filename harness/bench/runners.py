"""How each engine of a run is tried, and how its heap is traced: on a server, or only told."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.bench.encode import encode
from harness.engines import fake as fake_engine
from harness.model.errors import HarnessError
from harness.model.record import Server
from harness.servers import open_server
from harness.trial import attempt as trial
from harness.trial import heap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from harness.bench.options import BenchOptions
    from harness.engines.registry import Engine
    from harness.model.manifest import Manifest
    from harness.model.outcome import AttemptFunction
    from harness.model.record import Heap
    from harness.trial.attempt import TrialContext
    from harness.trial.stop import StopListener

    Announce = Callable[[str], None]

NO_SERVER = Server(kind="none", reason="only fake engines", version="none", settings={})


@dataclass(frozen=True, slots=True)
class Subject:
    """What is restored in a run: a backup with its ground truth."""

    backup: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class EngineRunner:
    """What is done with an engine: a trial, or a pass that traces its heap and draws on a page."""

    attempt: AttemptFunction
    trace: Callable[[Path], Heap]


@contextlib.contextmanager
def open_runners(
    options: BenchOptions, subject: Subject, stop: StopListener, announce: Announce
) -> Iterator[tuple[Server, dict[str, EngineRunner]]]:
    """Have a server, for as long as one is needed, and the way of each engine by its name."""
    fakes = {
        engine.name: EngineRunner(
            fake_engine.fake(engine.name, subject.manifest),
            _untraced(engine, "a fake engine has no heap"),
        )
        for engine in options.engines
        if engine.is_fake
    }
    if len(fakes) == len(options.engines):
        yield NO_SERVER, fakes
        return
    with open_server(options.server, announce=announce) as server:
        stage = trial.TrialContext(
            server=server,
            backup=subject.backup,
            manifest=subject.manifest,
            limits=options.limits,
            interruptible=stop.interruptible,
            jobs=options.jobs,
        )
        real = {
            engine.name: _runner(engine, stage)
            for engine in options.engines
            if engine.name not in fakes and not engine.needs_encoded
        }
        encoded = [engine for engine in options.engines if engine.needs_encoded]
        yield server.record, {**fakes, **real, **_on_encoded(encoded, stage, options, announce)}


def _runner(engine: Engine, stage: TrialContext) -> EngineRunner:
    return EngineRunner(
        functools.partial(trial.attempt, engine, stage),
        functools.partial(heap.trace, engine, stage),
    )


def _untraced(engine: Engine, why: str) -> Callable[[Path], Heap]:
    return lambda _: heap.skipped(engine, why)


def _on_encoded(
    encoded: Sequence[Engine], stage: TrialContext, options: BenchOptions, announce: Announce
) -> dict[str, EngineRunner]:
    """Say how engines are tried that take the encoded dataset, after making it.

    Where it cannot be made, they fail, and the others are tried all the same.
    """
    if not encoded:
        return {}
    try:
        folder = encode(stage.server, stage.backup, stage.manifest, options.cache, announce)
    except HarnessError as error:
        failed = functools.partial(trial.failed_to_start, stage.manifest, str(error))
        return {
            engine.name: EngineRunner(failed, _untraced(engine, str(error))) for engine in encoded
        }
    stage = dataclasses.replace(stage, floor=folder)
    return {engine.name: _runner(engine, stage) for engine in encoded}
