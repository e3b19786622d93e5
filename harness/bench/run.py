"""Makes a run: a dataset, a server, and trials of each engine in turn, each recorded.

It computes no statistics. Every trial is on disk before the next one starts, so a run that is
stopped keeps its trials.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

import msgspec

from harness.analysis import noise
from harness.bench.resume import resumed_run
from harness.bench.runners import Subject, open_runners
from harness.bench.schedule import remaining, remaining_s, schedule
from harness.generate import cached
from harness.history import store as history
from harness.model import manifest
from harness.model.errors import ExitCode
from harness.model.machine import processor_count
from harness.model.record import Run, Server, Status, Trial
from harness.report import units
from harness.trial import attempt as trial
from harness.trial.environment import fingerprint
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

# From here on generating takes some 10 s, so that progress is announced.
LONG_ROWS = 1_000_000


def run_bench(options: BenchOptions, *, announce: Announce, resume: Run | None = None) -> Run:
    """Make a run with ``options``, and record it trial by trial.

    SIGINT, SIGTERM and SIGHUP stop it: the current trial is recorded as ``interrupted``, all that
    was started is cleaned up, and the run is returned with ``finished_at`` None. Only in the main
    thread.

    Args:
        options: the options.
        announce: called with a line for each step.
        resume: an unfinished run to continue; ``options`` are its own.

    Raises:
        HarnessError: the run failed; recorded trials are kept.
        StopRequested: a signal came before the run was recorded.
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
    """Return a new run without trials, or the run to resume."""
    dataset = subject.manifest.dataset()
    if resume is not None:
        return resumed_run(
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
    """Describe a trial, with the number of trials made and the time that the others will take."""
    taken = len(turns) - len(remaining(run, turns))
    text = f"[{taken}/{len(turns)}] {describe(made)}"
    seconds = remaining_s(run, turns, trial.now())
    # Less than a second is not worth a mention.
    return text if seconds is None or seconds < 1 else f"{text} ({units.duration(seconds)} left)"


def exit_code(run: Run) -> ExitCode:
    """Return the exit code of a run: 3 if it finished with trials that are not ok."""
    if run.finished_at is None:
        return ExitCode.FAILED
    ok = all(made.status is Status.OK or made.repeated for made in run.trials)
    return ExitCode.OK if ok else ExitCode.REJECTS


def describe(made: Trial) -> str:
    """Describe the result of a trial in a line."""
    which = f"{made.engine} {'warm-up' if made.warmup else 'round'} {made.round}"
    figures = [
        *([units.seconds(made.wall_s)] if made.wall_s is not None else []),
        *([units.megabytes(made.peak_bytes)] if made.peak_bytes is not None else []),
    ]
    text = f"{which}: {' '.join([made.status.value, ', '.join(figures)]).strip()}"
    if made.repeated:
        text += "; noisy, repeating it"
    return text if made.detail is None else f"{text} - {made.detail}"


def _trials(
    turns: Sequence[Turn],
    truth: Manifest,
    runners: dict[str, EngineRunner],
    stop: StopListener,
    repeats: int,
) -> Iterator[Trial]:
    """Run the turns until a stop is requested, repeating at most ``repeats`` noisy trials."""
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
    """Return the engines whose heap has not been traced yet."""
    traced = {found.engine for found in run.heaps}
    return [e for e in options.engines if options.memray and e.name not in traced]


def _heaps(
    engines: Sequence[Engine],
    runners: dict[str, EngineRunner],
    pages: Callable[[str], Path],
    stop: StopListener,
) -> Iterator[Heap]:
    """Trace the heap of each engine until a stop is requested; ``pages`` names the flame graphs."""
    for engine in engines:
        with contextlib.suppress(StopRequested):
            if not stop.requested:
                yield runners[engine.name].trace(pages(engine.name))


def describe_heap(heap: Heap) -> str:
    """Describe a traced heap in a line."""
    figures = [
        *([f"peak {units.megabytes(heap.peak_bytes)}"] if heap.peak_bytes is not None else []),
        *([f"{heap.allocations:,} allocations"] if heap.allocations is not None else []),
    ]
    text = f"{heap.engine} with memray: {' '.join([heap.status.value, ', '.join(figures)]).strip()}"
    return text if heap.detail is None else f"{text} - {heap.detail}"


def _is_noisy(made: Trial) -> bool:
    """Return whether other activity may have changed the figures of a trial."""
    counts = made.status is Status.OK and not made.warmup
    return counts and bool(noise.disturbances(made.noise, processor_count()))


def _was_noisy(made: Trial) -> bool:
    """Return whether a trial was repeated because of noise, not because it was interrupted."""
    return made.repeated and made.status is Status.OK


def _run_turn(turn: Turn, truth: Manifest, attempt: AttemptFunction) -> Trial:
    """Run one trial, or record why it was skipped."""
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
        return msgspec.structs.replace(
            blank, status=Status.INTERRUPTED, detail="stopped by a signal"
        )
    return trial.record(blank, engine, truth, tried)


def _subject(options: BenchOptions, announce: Announce) -> Subject:
    """Find or generate the dataset."""
    if options.dataset is not None:
        backup = options.dataset
    else:
        progress = _GenerationProgress(options.rows, announce)
        backup = cached(options.spec(), options.cache, progress=progress)
    announce(f"dataset {backup}")
    return Subject(backup, manifest.load(backup))


class _GenerationProgress:
    """Announces that a dataset is generated, and of a large one each quarter."""

    def __init__(self, rows: int, announce: Announce) -> None:
        self._rows = rows
        self._announce = announce
        self._made = 0
        self._announced = -1

    def __call__(self, records: int) -> None:
        self._made += records
        quarter = 4 * self._made // self._rows
        if self._announced < 0:
            self._announce(f"generating {self._rows:,} rows")
            self._announced = 0
        elif self._rows >= LONG_ROWS and quarter > self._announced:
            self._announce(f"generated {25 * quarter}%")
            self._announced = quarter
