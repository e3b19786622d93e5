"""How each engine of a run is executed: on a server, or by a fake engine."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.bench.prepare import prepare
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
    from harness.engines.engine import Engine
    from harness.model.manifest import Manifest
    from harness.model.outcome import AttemptFunction
    from harness.model.record import Heap
    from harness.trial.attempt import TrialContext
    from harness.trial.stop import StopListener

    Announce = Callable[[str], None]

NO_SERVER = Server(kind="none", reason="only fake engines", version="none", settings={})


@dataclass(frozen=True, slots=True)
class Subject:
    """The dataset of a run: a backup with its ground truth."""

    backup: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class EngineRunner:
    """Runs one engine: ``attempt`` for a trial, ``trace`` for a heap and its flame graph."""

    attempt: AttemptFunction
    trace: Callable[[Path], Heap]


@contextlib.contextmanager
def open_runners(
    options: BenchOptions, subject: Subject, stop: StopListener, announce: Announce
) -> Iterator[tuple[Server, dict[str, EngineRunner]]]:
    """Provide a server, if an engine needs one, and the runner of each engine by name."""
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
    with open_server(options.server, announce=announce, profile=options.server_profile) as server:
        context = trial.TrialContext(
            server=server,
            backup=subject.backup,
            manifest=subject.manifest,
            limits=options.limits,
            interruptible=stop.interruptible,
            jobs=options.jobs,
            traffic=options.traffic,
        )
        real = {
            engine.name: _runner(engine, context)
            for engine in options.engines
            if engine.name not in fakes and not engine.prepare
        }
        prepared = _on_prepared(
            [engine for engine in options.engines if engine.prepare], context, options, announce
        )
        yield server.record, {**fakes, **real, **prepared}


def _runner(engine: Engine, context: TrialContext) -> EngineRunner:
    return EngineRunner(
        functools.partial(trial.attempt, engine, context),
        functools.partial(heap.trace, engine, context),
    )


def _untraced(engine: Engine, why: str) -> Callable[[Path], Heap]:
    return lambda _: heap.skipped(engine, why)


def _on_prepared(
    engines: Sequence[Engine], context: TrialContext, options: BenchOptions, announce: Announce
) -> dict[str, EngineRunner]:
    """Return the runners of the engines that take a prepared input, after making that.

    If it cannot be made, their attempts fail; the other engines are not affected.
    """
    runners = {engine.name: _runner(engine, context) for engine in engines}
    tried = [engine for engine in engines if engine.skipped_for(context.manifest) is None]
    prepared = prepare(tried, context, options.cache, announce)
    for engine in tried:
        made = prepared[engine.name]
        if isinstance(made, HarnessError):
            failed = functools.partial(trial.failed_to_start, context.manifest, str(made))
            runners[engine.name] = EngineRunner(failed, _untraced(engine, str(made)))
        else:
            runners[engine.name] = _runner(engine, dataclasses.replace(context, prepared=made))
    return runners
