"""Checks on real trials that versions are compared as they should be, as ``compare-commits`` does.

Each pair of versions is the same engine, of which the newer one may have a known difference. All
pairs run in one run, and each is judged by itself.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from harness.analysis.commits import CommitsTest, Measure
from harness.analysis.sequential import DEFAULT_ROUNDS, Plan
from harness.analysis.verdicts import MIN_EFFECT, MIN_MEMORY_EFFECT, Verdict
from harness.bench import run as bench
from harness.model.record import Status
from harness.selftest.checks import Check
from harness.trial.stop import StopRequested

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.bench.options import BenchOptions
    from harness.engines.engine import Engine
    from harness.model.record import Run

EXTRA_TIME, EXTRA_MEMORY = 0.10, 0.20

# What is put into the newer version of each pair (``selftest.faulty``), and what must be found.
SAME, SLOWER, MORE_MEMORY = "same", "slower", "more-memory"
FAULTS: Mapping[str, tuple[str, ...]] = {
    SAME: (),
    SLOWER: (f"slower={EXTRA_TIME}",),
    MORE_MEMORY: (f"more-memory={EXTRA_MEMORY}",),
}
_FOUND = {SLOWER: Measure.TIME, MORE_MEMORY: Measure.MEMORY}

# Without times, no share of them matters.
_ANY_TIME = 1e9


def check_versions(
    engines: Sequence[Engine],
    options: BenchOptions,
    announce: Callable[[str], None],
    *,
    times: bool,
) -> tuple[Check, ...]:
    """Run the pairs, and check the judgement on each.

    Args:
        engines: ``NAME@base`` and ``NAME@head`` of each pair to run.
        options: the conditions.
        announce: called with a line for each step.
        times: whether times are judged, which needs a quiet machine.

    Raises:
        HarnessError: the run failed.
        StopRequested: it was stopped.
    """
    names = tuple(dict.fromkeys(engine.name.partition("@")[0] for engine in engines))
    limit = {
        Measure.TIME: MIN_EFFECT if times else _ANY_TIME,
        Measure.CPU: MIN_EFFECT if times else _ANY_TIME,
        Measure.MEMORY: MIN_MEMORY_EFFECT,
    }
    tests = {
        name: CommitsTest((name,), {(name, each): limit[each] for each in Measure}, Plan())
        for name in names
    }

    def rounds_wanted(run: Run) -> int:
        return max(test.rounds_wanted(run) for test in tests.values())

    given = dataclasses.replace(options, engines=tuple(engines), rounds=DEFAULT_ROUNDS, repeats=0)
    run = bench.run_bench(given, announce=announce, rounds_wanted=rounds_wanted)
    if run.finished_at is None:
        raise StopRequested
    return tuple(_check(name, test, run) for name, test in tests.items())


def _check(name: str, test: CommitsTest, run: Run) -> Check:
    """Check that exactly what was put in is found."""
    judgement = test.judge(run)
    expected = _FOUND.get(name)
    found = {measure for _, measure in judgement.worse}
    failed = [trial for trial in run.trials if trial.status is not Status.OK]
    passed = not failed and (expected in found if expected else not judgement.is_worse)
    described = []
    for (_, measure), change in judgement.changes.items():
        if change.ratio is not None and measure in {Measure.TIME, Measure.MEMORY}:
            verdict = "worse" if change.verdict is Verdict.HIGHER else change.verdict.value
            described.append(f"{measure.value} {change.ratio.value - 1:+.1%}, {verdict}")
    observed = f"{'; '.join(described) or 'nothing compared'}; {judgement.rounds} rounds"
    if failed:
        observed += f"; {len(failed)} trials are not ok: {failed[0].detail}"
    return Check(_TEXTS[name], passed=passed, observed=observed)


_TEXTS = {
    SAME: "an engine is not found worse than itself",
    SLOWER: f"a version that takes {EXTRA_TIME:.0%} longer is found to be slower",
    MORE_MEMORY: f"a version with {EXTRA_MEMORY:.0%} more memory is found to use more",
}
