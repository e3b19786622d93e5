"""Makes a run: a dataset, a server, and trials of each engine in turn, each recorded.

It computes no statistics. Every trial is on disk before the next one starts, so a run that is
stopped keeps its trials.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from harness.analysis import noise
from harness.bench.resume import resumed_run
from harness.bench.runners import Subject, open_runners
from harness.bench.schedule import remaining, remaining_s, schedule, within
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
    from harness.engines.engine import Engine
    from harness.model.manifest import Manifest
    from harness.model.outcome import AttemptFunction
    from harness.model.record import Heap

    Announce = Callable[[str], None]
    Watch = Callable[["Now"], None]

# From here on generating takes some 10 s, so that progress is announced.
LONG_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Now:
    """How far a run is: ``turn`` is the trial that runs, if one does."""

    run: Run
    engines: tuple[str, ...]
    turn: Turn | None
    made: int
    planned: int
    left_s: float | None


def ignore(_: Now) -> None:
    """Watch nothing."""


def run_bench(
    options: BenchOptions,
    *,
    announce: Announce,
    watch: Watch = ignore,
    resume: Run | None = None,
    rounds_wanted: Callable[[Run], int] | None = None,
) -> Run:
    """Make a run with ``options``, and record it trial by trial.

    SIGINT, SIGTERM and SIGHUP stop it: the current trial is recorded as ``interrupted``, all that
    was started is cleaned up, and the run is returned with ``finished_at`` None. Only in the main
    thread.

    Args:
        options: the options.
        announce: called with a line for each step.
        watch: called before each trial, and after it.
        resume: an unfinished run to continue; ``options`` are its own.
        rounds_wanted: called with the run so far, for the number of rounds that it shall have; by
            default that of the options.

    Raises:
        HarnessError: the run failed; recorded trials are kept.
        StopRequested: a signal came before the run was recorded.
    """
    store = history.open_history(options.results)
    with StopListener() as stop, contextlib.ExitStack() as cleanup:
        if resume is not None:
            cleanup.enter_context(store.sole_writer(resume))
        with stop.interruptible():
            subject = _subject(options, announce)
            server, runners = cleanup.enter_context(open_runners(options, subject, stop, announce))
        run = _new_or_resumed_run(options, subject, server, resume)
        if resume is None:
            cleanup.enter_context(store.sole_writer(run))
        store.write(run)
        planned = functools.partial(_planned, options, rounds_wanted)

        def run_turn(turn: Turn) -> Trial:
            watch(_now(options, run, planned(run), turn))
            return _run_turn(turn, subject.manifest, runners[turn.engine.name].attempt)

        for so_far in _measured(run, planned, options.repeats, run_turn, stop):
            run = so_far
            store.write(run)
            now = _now(options, run, planned(run))
            announce(_progress_line(now))
            watch(now)
        is_complete = not remaining(run, planned(run))
        traced = _untraced(options, run) if is_complete else []
        for heap in _heaps(traced, runners, functools.partial(store.flame_graph, run), stop):
            run = msgspec.structs.replace(run, heaps=(*run.heaps, heap))
            store.write(run)
            announce(describe_heap(heap))
        if is_complete and not _untraced(options, run):
            run = msgspec.structs.replace(run, finished_at=trial.now())
            store.write(run)
        return run


def _now(options: BenchOptions, run: Run, turns: Sequence[Turn], turn: Turn | None = None) -> Now:
    """Return how far a run is."""
    return Now(
        run=run,
        engines=tuple(engine.name for engine in options.engines),
        turn=turn,
        made=len(turns) - len(remaining(run, turns)),
        planned=len(turns),
        left_s=remaining_s(run, turns, trial.now()),
    )


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


def _progress_line(now: Now) -> str:
    """Describe the last trial, with the number of trials made and the time left."""
    last = now.run.trials[-1]
    text = f"[{now.made}/{now.planned}] {describe(last)}"
    if last.repeated:
        text += "; the round was noisy, running it again"
    # Less than a second is not worth a mention.
    if now.left_s is None or now.left_s < 1:
        return text
    return f"{text} ({units.duration(now.left_s)} left)"


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
    return text if made.detail is None else f"{text} - {made.detail}"


def _planned(
    options: BenchOptions, rounds_wanted: Callable[[Run], int] | None, run: Run
) -> tuple[Turn, ...]:
    """Return the turns that a run shall have."""
    rounds = options.rounds if rounds_wanted is None else rounds_wanted(run)
    turns = schedule(options.engines, rounds=rounds, warmup=options.warmup, seed=run.id)
    return within(run, tuple(turns), options.time_per_engine_s)


def _measured(
    run: Run,
    planned: Callable[[Run], tuple[Turn, ...]],
    repeats: int,
    run_turn: Callable[[Turn], Trial],
    stop: StopListener,
) -> Iterator[Run]:
    """Run the remaining turns until a stop is requested; yield the run after each trial.

    A round in which a trial was noisy is run again, as a whole, at most ``repeats`` times.
    """
    while not stop.requested and (due := remaining(run, planned(run))):
        made = run_turn(due[0])
        run = msgspec.structs.replace(run, trials=(*run.trials, made))
        is_last = all(turn.round != made.round for turn in due[1:])
        if is_last and _is_noisy(run, made.round) and _repeats(run) < repeats:
            run = _with_repeated(run, made.round)
        yield run


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


def _is_noisy(run: Run, number: int) -> bool:
    """Return whether other activity may have changed the figures of a round.

    The figures themselves play no part in that.
    """
    return any(
        noise.disturbances(made.noise, processor_count())
        for made in run.trials
        if made.round == number and _counts(made)
    )


def _counts(made: Trial) -> bool:
    return not (made.warmup or made.repeated)


def _repeats(run: Run) -> int:
    """Return how many rounds were run again because of noise, not because of an interruption."""
    repeated = Counter(
        made.engine
        for made in run.trials
        if made.repeated and made.status is not Status.INTERRUPTED
    )
    return max(repeated.values(), default=0)


def _with_repeated(run: Run, number: int) -> Run:
    """Return the run with all trials of a round marked as repeated."""
    return msgspec.structs.replace(
        run,
        trials=tuple(
            msgspec.structs.replace(made, repeated=True)
            if made.round == number and _counts(made)
            else made
            for made in run.trials
        ),
    )


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
    if why := engine.skipped_for(truth):
        return msgspec.structs.replace(blank, detail=why)
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
    truth = manifest.load(backup)
    manifest.check_unchanged(backup, truth)
    return Subject(backup, truth)


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
