"""Two files of pytest-benchmark beside each other: what changed, and what of it fails; pure.

The rounds of a micro-benchmark are many, of one process, and follow each other closely: what
disturbs one disturbs the next. So where there are more than ``BLOCKS``, each of so many stretches
of consecutive rounds counts as one, by its median, and these are compared as trials are. Where a
file holds no single rounds, its quartiles stand in for them.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis.stats import Ratio, ratio
from harness.analysis.verdicts import MIN_EFFECT, Verdict, verdict
from harness.gate.verdict import Finding, Judgement, Measure, Regression, collect
from harness.model.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.gate.limits import Limits, Settings
    from harness.gate.pytest_files.file import Benchmark, BenchmarkFile, Failed, Stats

# The exact rank test of more would take seconds, and tell no more.
BLOCKS = 30

# Of what tells two hosts apart, so much is named.
_NAMED = 3

# Trials that say nothing of an engine: the one never began, the other the user stopped.
_NO_ATTEMPT = frozenset({"skipped", "interrupted"})


class PairState(enum.Enum):
    """What became of a benchmark from one file to the other."""

    BOTH = "in both"
    NEW = "new"
    MISSING = "vanished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Pair:
    """A benchmark in two files; ``time`` is after over before, where both have one."""

    fullname: str
    state: PairState
    before: Benchmark | None
    after: Benchmark | None
    failure: Failed | None
    time: Ratio | None


def pairs(before: BenchmarkFile, after: BenchmarkFile) -> tuple[Pair, ...]:
    """Lay the benchmarks of two files side by side, each under its full name."""
    old = {each.fullname: each for each in before.benchmarks}
    new = {each.fullname: each for each in after.benchmarks}
    failed_before, failed = (
        {each.fullname: each for each in of.failed if _was_tried(each)} for of in (before, after)
    )
    return tuple(
        _pair(name, old.get(name), new.get(name), failed.get(name))
        for name in dict.fromkeys((*old, *failed_before, *new, *failed))
    )


def check_hosts(before: BenchmarkFile, after: BenchmarkFile, names: tuple[str, str]) -> None:
    """Refuse times of two hosts, or of a host that is not named.

    Raises:
        InputError: they are not known to be of one.
    """
    old, new = host(before), host(after)
    for file_name, known in zip(names, (old, new), strict=True):
        if not any(known.values()):
            raise InputError(f"{file_name} does not say on which host it was made")
    other = [what for what in {**old, **new} if old.get(what) != new.get(what)]
    if other:
        named = [f"{what}: {old.get(what)} and {new.get(what)}" for what in other[:_NAMED]]
        differences = ", ".join(named) + (", ..." if len(other) > _NAMED else "")
        raise InputError(
            f"{names[0]} and {names[1]} are of different hosts, whose times cannot be compared "
            f"({differences}); make both on one"
        )


def host(of: BenchmarkFile) -> dict[str, object]:
    """Return what makes times comparable; the system's release and Python may differ."""
    known = {what: value for what, value in of.machine_info.items() if value != ""}
    cpu, server = _fields(known, "cpu"), _fields(known, "server")
    memory = known.get("memory_bytes")
    return {
        "node": known.get("node"),
        "system": known.get("system"),
        "machine": known.get("machine"),
        "cpu": cpu.get("brand_raw") or known.get("processor"),
        "cores": cpu.get("count"),
        "memory": f"{memory / 1e9:.0f} GB" if isinstance(memory, int | float) else None,
        "server": server.get("kind"),
        "version": server.get("version"),
        "image": server.get("image"),
        **_fields(server, "settings"),
    }


def _fields(of: dict[str, Any], key: str) -> dict[str, Any]:
    """Return an object within another; an empty one where it is none."""
    value = of.get(key)
    return value if isinstance(value, dict) else {}


def judge(of: Sequence[Pair], settings: Settings) -> Judgement:
    """Say what got worse, what vanished and what failed."""
    found = [
        one
        for pair in of
        if pair.state is not PairState.NEW
        for one in _measures(pair, settings.limits(_engine(pair)))
    ]
    return collect(found, len(found))


def judged_verdict(of: Ratio, effect: float = MIN_EFFECT) -> Verdict:
    """Say what a ratio of times says; where quartiles made it, that they lie apart is the test."""
    return verdict(of if of.p is not None else dataclasses.replace(of, p=0.0), effect)


def _pair(
    name: str, before: Benchmark | None, after: Benchmark | None, failure: Failed | None
) -> Pair:
    if after is None:
        state = PairState.MISSING if failure is None else PairState.FAILED
    else:
        state = PairState.NEW if before is None else PairState.BOTH
    time = None if before is None or after is None else _ratio(before.stats, after.stats)
    return Pair(name, state, before, after, failure, time)


def _ratio(before: Stats, after: Stats) -> Ratio | None:
    """Return after over before: of their rounds, else of their medians and quartiles."""
    if before.data and after.data:
        return ratio(_blocks(after.data), _blocks(before.data))
    if min(before.q1, after.q1) <= 0:
        return None
    low, high = after.q1 / before.q3, after.q3 / before.q1
    rounds = min(before.rounds, after.rounds)
    return Ratio(after.median / before.median, low, high, rounds)


def _blocks(times_s: Sequence[float]) -> list[float]:
    """Return the medians of ``BLOCKS`` stretches of rounds; of fewer rounds, the rounds."""
    count = len(times_s)
    if count <= BLOCKS:
        return list(times_s)
    ends = [count * block // BLOCKS for block in range(BLOCKS + 1)]
    return [statistics.median(times_s[start:end]) for start, end in itertools.pairwise(ends)]


def _measures(pair: Pair, limits: Limits) -> Iterator[Finding | str]:
    """Judge each measure: a finding, why there is no telling, or an empty text where it holds."""
    before, after = pair.before, pair.after
    if pair.state in {PairState.MISSING, PairState.FAILED}:
        regression = Regression.MISSING if pair.state is PairState.MISSING else Regression.FAILED
        yield Finding(pair.fullname, Measure.PRESENT, regression, 0.0)
    if before is None or after is None:
        return
    yield _slower(pair, before, after, limits.time)
    yield from _fatter(pair.fullname, before, after, limits.memory)
    shares = ((Measure.SUCCESS, _success), (Measure.OK, _ok_share))
    for measure, share in shares:
        new = share(after)
        if new is not None:
            old = share(before)
            old = 1.0 if old is None else old
            worse = new < old - limits.success
            lossier = Finding(
                pair.fullname,
                measure,
                Regression.LESS_COMPLETE,
                limits.success,
                before=old,
                after=new,
            )
            yield lossier if worse else ""


def _slower(pair: Pair, before: Benchmark, after: Benchmark, limit: float) -> Finding | str:
    """Judge the time.

    The fastest round counts too: load on the machine slows most rounds but hardly all, and a slower
    benchmark is slower in each.
    """
    if pair.time is None or pair.time.is_descriptive:
        return f"{pair.fullname}, time: too few rounds, or too short, to judge"
    found = judged_verdict(pair.time, limit)
    if found is not Verdict.HIGHER:
        may_be = found is Verdict.INCONCLUSIVE and pair.time.value >= 1 + limit
        seen = f"{pair.fullname}, time: {pair.time.value - 1:+.1%}, which may be chance"
        return seen if may_be else ""
    if after.stats.min < before.stats.min * (1 + limit / 2):
        return (
            f"{pair.fullname}, time: {pair.time.value - 1:+.1%} in the median, but not in the "
            "fastest round; the machine was busy"
        )
    return Finding(
        pair.fullname,
        Measure.TIME,
        Regression.SLOWER,
        limit,
        before=before.stats.median,
        after=after.stats.median,
        ratio=pair.time,
    )


def _fatter(
    name: str, before: Benchmark, after: Benchmark, limit: float
) -> Iterator[Finding | str]:
    """Judge the peak memory, where both tell it."""
    old, new = (_number(each, "peak_bytes") for each in (before, after))
    if old is not None and new is not None:
        fatter = Finding(name, Measure.MEMORY, Regression.MORE_MEMORY, limit, before=old, after=new)
        yield fatter if new > old * (1 + limit) else ""


def _number(of: Failed, key: str) -> float | None:
    value = of.extra_info.get(key)
    return value if isinstance(value, int | float) else None


def _success(of: Failed) -> float | None:
    return _number(of, "success")


def _ok_share(of: Failed) -> float | None:
    """Return the share of the trials that were ok, where the file tells how they came out."""
    counts = _attempts(of)
    return counts.get("ok", 0) / sum(counts.values()) if counts else None


def _attempts(of: Failed) -> dict[str, int]:
    statuses = _fields(of.extra_info, "statuses")
    counts = {status: count for status, count in statuses.items() if isinstance(count, int)}
    return {status: count for status, count in counts.items() if status not in _NO_ATTEMPT}


def _was_tried(of: Failed) -> bool:
    """Say whether what has no time was tried; an engine that was skipped was not."""
    return "statuses" not in of.extra_info or bool(_attempts(of))


def _engine(pair: Pair) -> str:
    """Return the name that limits of its own stand under."""
    of = pair.before or pair.after or pair.failure
    if of is None:
        return pair.fullname
    engine = of.extra_info.get("engine")
    return engine if isinstance(engine, str) else of.name
