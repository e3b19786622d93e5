"""Compares two commits in one run: checkouts, trials in alternation, and the judgement."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.commits import BASE, COMMITS, HEAD, CommitsTest, Measure
from harness.bench.checkouts import checkouts
from harness.bench.run import run_bench
from harness.engines import registry
from harness.model.errors import ExitCode, InputError
from harness.model.record import FLOOR, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.analysis.commits import CommitsJudgement
    from harness.analysis.sequential import Plan
    from harness.bench.options import BenchOptions
    from harness.gate.limits import GateSettings
    from harness.model.record import Run

# What runs beside two commits, to show how fast the machine is.
BESIDE = (FLOOR, REFERENCE)


@dataclass(frozen=True, slots=True)
class CommitsOptions:
    """The two commits, the engines of each to compare, and how.

    Args:
        base: the commit before.
        head: the commit after, or what names the working tree.
        engines: names of engines that both have.
        yardsticks: engines of this checkout that run beside them, and are not judged.
        plan: after which rounds is judged.
        settings: the smallest increases that matter.
    """

    base: str
    head: str
    engines: tuple[str, ...]
    yardsticks: tuple[str, ...]
    plan: Plan
    settings: GateSettings

    def __post_init__(self) -> None:
        for name in self.engines:
            if self.engines.count(name) > 1:
                raise InputError(f"--engine {name} is given twice; name each engine once")
        if self.plan.max_rounds < self.plan.rounds:
            raise InputError(
                f"--max-rounds {self.plan.max_rounds} is less than --rounds {self.plan.rounds}; "
                "name at least as many"
            )


@dataclass(frozen=True, slots=True)
class ComparedCommits:
    """The run, the judgement on it, and what its two roles stand for."""

    run: Run
    judgement: CommitsJudgement
    titles: tuple[str, str]
    warnings: tuple[str, ...]


def compare_commits(
    options: CommitsOptions, bench: BenchOptions, announce: Callable[[str], None]
) -> ComparedCommits:
    """Build both commits, run them in one run, and judge it.

    Args:
        options: the commits, and what is judged.
        bench: the dataset and the conditions; engines and rounds are chosen here.
        announce: called with a line for each step.

    Raises:
        HarnessError: a commit is unknown or cannot be built, or the run failed.
        StopRequested: a signal came before the run was recorded.
    """
    limits = {name: options.settings.limits(name) for name in options.engines}
    test = CommitsTest(
        engines=options.engines,
        limits={
            (name, measure): limit.memory if measure is Measure.MEMORY else limit.time
            for name, limit in limits.items()
            for measure in Measure
        },
        plan=options.plan,
    )
    with checkouts(options.base, options.head, announce) as (base, head):
        versions = [
            checkout.engine(name, role)
            for name in options.engines
            for checkout, role in ((base, BASE), (head, HEAD))
        ]
        yardsticks = [
            registry.named(name) for name in options.yardsticks if name not in options.engines
        ]
        given = dataclasses.replace(
            bench,
            engines=(*versions, *yardsticks),
            rounds=options.plan.rounds,
            recorded={
                COMMITS: [base.commit, head.commit],
                "worktree": head.is_changed,
                "max_rounds": options.plan.max_rounds,
            },
        )
        run = run_bench(given, announce=announce, rounds_wanted=test.rounds_wanted)
    without = [each.title for each in (base, head) if not each.is_native]
    return ComparedCommits(
        run=run,
        judgement=test.judge(run),
        titles=(base.title, head.title),
        warnings=tuple(
            f"{title} runs without its C part, which was not built" for title in without
        ),
    )


def exit_code(compared: ComparedCommits) -> ExitCode:
    """Return 4 if anything got worse, 1 if it was stopped, 3 if a head engine is never ok."""
    if compared.judgement.is_worse:
        return ExitCode.WORSE
    if compared.run.finished_at is None:
        return ExitCode.FAILED
    return ExitCode.REJECTS if compared.judgement.broken else ExitCode.OK
