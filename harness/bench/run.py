"""The main job: makes a dataset, starts a server, tries each engine in turn, records every trial.

It plans, tries, verifies and records; no statistics. What is measured is on disk after each trial,
so a run that is stopped keeps what it has.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

import msgspec

from harness.analysis import noise
from harness.bench.resume import resumed
from harness.bench.runners import Subject, open_runners
from harness.bench.schedule import remaining, remaining_s, schedule
from harness.generate import cached
from harness.history import store as history
from harness.model import manifest
from harness.model.errors import ExitCode
from harness.model.record import Run, Server, Status, Trial
from harness.report import units
from harness.trial import attempt as trial
from harness.trial.environment import cores, fingerprint
from harness.trial.stop import StopListener, StopRequested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from harness.bench.options import BenchOptions
    from harness.bench.runners import EngineRunner
    from harness.bench.schedule import Turn
    from harness.engines.registry import Engine
    from harness.model.manifest import Manifest
    from harness.model.outcome import AttemptFunction
    from harness.model.record import Heap

    Announce = Callable[[str], None]

# From here on a dataset takes so long to make (some 10 s) that it is told how far it is.
LONG_ROWS = 1_000_000


def run_bench(options: BenchOptions, *, announce: Announce, resume: Run | None = None) -> Run:
    """Make a run as ``options`` say, and record it trial by trial.

    SIGINT, SIGTERM and SIGHUP stop it: the trial under way becomes ``interrupted``, all that was
    started is cleaned up, and the run is returned with ``finished_at`` None. Only in the main
    thread.

    Args:
        options: what to run.
        announce: told each step in a line.
        resume: a run that was cut off, to go on with; ``options`` are those that it was made with.

    Raises:
        HarnessError: the run could not be made or not go on; what is recorded stays.
        Stopped: asked to stop before there was a run.
    """
    with StopListener() as stop, contextlib.ExitStack() as cleanup:
        with stop.interruptible():
            subject = _subject(options, announce)
            server, runners = cleanup.enter_context(open_runners(options, subject, stop, announce))
        run = _new_or_resumed_run(options, subject, server, resume)
        turns = tuple(schedule(options.engines, rounds=options.rounds, warmup=options.warmup))
        store = history.open_history(options.results)
        store.write(run)
        repeats = max(0, options.repeats - sum(_was_noisy(made) for made in run.trials))
        for made in _trials(remaining(run, turns), subject.manifest, runners, stop, repeats):
            run = msgspec.structs.replace(run, trials=(*run.trials, made))
            store.write(run)
            announce(_progress_line(run, turns, made))
        traced = [] if remaining(run, turns) else _untraced(options, run)
        for heap in _heaps(traced, runners, functools.partial(store.flame_graph, run), stop):
            run = msgspec.structs.replace(run, heaps=(*run.heaps, heap))
            store.write(run)
            announce(describe_heap(heap))
        if not remaining(run, turns) and not _untraced(options, run):
            run = msgspec.structs.replace(run, finished_at=trial.now())
            store.write(run)
        return run


def _new_or_resumed_run(
    options: BenchOptions, subject: Subject, server: Server, resume: Run | None
) -> Run:
    """Return a run without a trial, or the one to go on with."""
    dataset = subject.manifest.dataset()
    if resume is not None:
        return resumed(
            resume, dataset=dataset, server=server, environment=fingerprint(), now=trial.now()
        )
    return Run(
        id=history.new_id(),
        started_at=trial.now(),
        parameters=options.parameters(),
        dataset=dataset,
        server=server,
        environment=fingerprint(),
    )


def _progress_line(run: Run, turns: Sequence[Turn], made: Trial) -> str:
    """Say how a trial came out, how many are made, and how long the others will take."""
    taken = len(turns) - len(remaining(run, turns))
    said = f"[{taken}/{len(turns)}] {describe(made)}"
    seconds = remaining_s(run, turns, trial.now())
    # Of less than this, nobody wants to be told.
    return said if seconds is None or seconds < 1 else f"{said} ({units.duration(seconds)} left)"


def exit_code(run: Run) -> ExitCode:
    """Return what a run ends its command with: 3 where it finished with trials that are not ok."""
    if run.finished_at is None:
        return ExitCode.FAILED
    ok = all(made.status is Status.OK or made.repeated for made in run.trials)
    return ExitCode.OK if ok else ExitCode.REJECTS


def describe(made: Trial) -> str:
    """Say in a line how a trial came out."""
    which = f"{made.engine} {'warm-up' if made.warmup else 'round'} {made.round}"
    figures = [
        *([units.seconds(made.wall_s)] if made.wall_s is not None else []),
        *([units.megabytes(made.peak_bytes)] if made.peak_bytes is not None else []),
    ]
    said = f"{which}: {' '.join([made.status.value, ', '.join(figures)]).strip()}"
    if made.repeated:
        said += "; noisy, so it is made again"
    return said if made.detail is None else f"{said} - {made.detail}"


def _trials(
    turns: Sequence[Turn],
    truth: Manifest,
    runners: dict[str, EngineRunner],
    stop: StopListener,
    repeats: int,
) -> Iterator[Trial]:
    """Take the turns until someone asks to stop; of noisy ones so many are taken again."""
    for turn in turns:
        if stop.requested:
            return
        made = _run_turn(turn, truth, runners[turn.engine.name].attempt)
        while repeats and _is_noisy(made) and not stop.requested:
            repeats -= 1
            yield msgspec.structs.replace(made, repeated=True)
            made = _run_turn(turn, truth, runners[turn.engine.name].attempt)
        yield made


def _untraced(options: BenchOptions, run: Run) -> list[Engine]:
    """Return the engines whose heap is still to be traced."""
    traced = {found.engine for found in run.heaps}
    return [e for e in options.engines if options.memray and e.name not in traced]


def _heaps(
    engines: Sequence[Engine],
    runners: dict[str, EngineRunner],
    pages: Callable[[str], Path],
    stop: StopListener,
) -> Iterator[Heap]:
    """Trace the heap of each engine until someone asks to stop; ``pages`` is where to draw it."""
    for engine in engines:
        with contextlib.suppress(StopRequested):
            if not stop.requested:
                yield runners[engine.name].trace(pages(engine.name))


def describe_heap(heap: Heap) -> str:
    """Say in a line what was seen of a heap."""
    figures = [
        *([f"peak {units.megabytes(heap.peak_bytes)}"] if heap.peak_bytes is not None else []),
        *([f"{heap.allocations:,} allocations"] if heap.allocations is not None else []),
    ]
    said = f"{heap.engine} with memray: {' '.join([heap.status.value, ', '.join(figures)]).strip()}"
    return said if heap.detail is None else f"{said} - {heap.detail}"


def _is_noisy(made: Trial) -> bool:
    """Say whether a trial gave figures that something else has moved, so that another may do."""
    counts = made.status is Status.OK and not made.warmup
    return counts and bool(noise.disturbances(made.noise, cores()))


def _was_noisy(made: Trial) -> bool:
    """Say whether a trial was made again for its noise, and not because it was interrupted."""
    return made.repeated and made.status is Status.OK


def _run_turn(turn: Turn, truth: Manifest, attempt: AttemptFunction) -> Trial:
    """Try an engine once, or say why not."""
    engine, started_at = turn.engine, trial.now()
    blank = Trial(
        engine=engine.name,
        round=turn.round,
        warmup=turn.warmup,
        status=Status.SKIPPED,
        started_at=started_at,
    )
    known = engine.limitation(truth)
    if known is not None and known.skip:
        return msgspec.structs.replace(blank, detail=known.why)
    try:
        tried = attempt()
    except StopRequested:
        return msgspec.structs.replace(blank, status=Status.INTERRUPTED, detail="asked to stop")
    return trial.record(blank, engine, truth, tried)


def _subject(options: BenchOptions, announce: Announce) -> Subject:
    """Find or make the dataset."""
    if options.dataset is not None:
        backup = options.dataset
    else:
        told = _GenerationProgress(options.rows, announce)
        backup = cached(options.spec(), options.cache, progress=told)
    announce(f"Dataset {backup}")
    return Subject(backup, manifest.load(backup))


class _GenerationProgress:
    """Tells that the generator works, and of a long dataset each quarter."""

    def __init__(self, rows: int, announce: Announce) -> None:
        self._rows = rows
        self._announce = announce
        self._made = 0
        self._progress_line = -1

    def __call__(self, records: int) -> None:
        self._made += records
        quarter = 4 * self._made // self._rows
        if self._progress_line < 0:
            self._announce(f"Generating {self._rows:,} rows")
            self._progress_line = 0
        elif self._rows >= LONG_ROWS and quarter > self._progress_line:
            self._announce(f"Generated {25 * quarter}%")
            self._progress_line = quarter
