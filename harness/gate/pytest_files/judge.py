"""Compares two files of pytest-benchmark, and finds the regressions; pure.

The rounds of a micro-benchmark are many, of one process, and follow each other closely: what
disturbs one disturbs the next. If there are more than ``BLOCKS``, consecutive rounds are grouped
into that many blocks, and the medians of the blocks are compared as trials are. If a file holds no
single rounds, its quartiles are compared.
"""

from __future__ import annotations

import enum
import itertools
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis.stats import MIN_ROUNDS, Ratio, ratio
from harness.analysis.verdicts import Verdict, verdict
from harness.gate.verdict import Finding, Judgement, Measure, Regression, collect
from harness.model.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.gate.limits import GateLimits, GateSettings
    from harness.gate.pytest_files.file import Benchmark, BenchmarkFile, Failed, Stats

# The exact rank test of more would take seconds, and decide no better.
BLOCKS = 30

# The message names so many differences between hosts.
_NAMED = 3

# Trials that are no attempts: one was never started, the other was stopped by the user.
_NO_ATTEMPT = frozenset({"skipped", "interrupted"})


class PairState(enum.Enum):
    """In which of two files a benchmark has a time."""

    BOTH = "in both"
    NEW = "new"
    MISSING = "missing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Pair:
    """A benchmark in two files; ``time`` is after over before, if both have one."""

    fullname: str
    state: PairState
    before: Benchmark | None
    after: Benchmark | None
    failure: Failed | None
    time: Ratio | None


def pairs(before: BenchmarkFile, after: BenchmarkFile) -> tuple[Pair, ...]:
    """Pair the benchmarks of two files by full name."""
    old = {each.fullname: each for each in before.benchmarks}
    new = {each.fullname: each for each in after.benchmarks}
    failed_before, failed = (
        {each.fullname: each for each in file.failed if _was_tried(each)}
        for file in (before, after)
    )
    return tuple(
        _pair(name, old.get(name), new.get(name), failed.get(name))
        for name in dict.fromkeys((*old, *failed_before, *new, *failed))
    )


def check_hosts(before: BenchmarkFile, after: BenchmarkFile, names: tuple[str, str]) -> None:
    """Check that both files are of the same, known host.

    Raises:
        InputError: they are not.
    """
    old, new = host(before), host(after)
    for file_name, known in zip(names, (old, new), strict=True):
        if not any(known.values()):
            raise InputError(
                f"{file_name} does not name its host; make it again with --benchmark-json"
            )
    other = [what for what in {**old, **new} if old.get(what) != new.get(what)]
    if other:
        named = [f"{what}: {old.get(what)} and {new.get(what)}" for what in other[:_NAMED]]
        differences = ", ".join(named) + (", ..." if len(other) > _NAMED else "")
        raise InputError(
            f"{names[0]} and {names[1]} are of different hosts, so their times cannot be compared "
            f"({differences}); make both on one host"
        )


def host(file: BenchmarkFile) -> dict[str, object]:
    """Return what must be equal to compare times; the system's release and Python may differ."""
    known = {what: value for what, value in file.machine_info.items() if value != ""}
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


def _fields(fields: dict[str, Any], key: str) -> dict[str, Any]:
    """Return an object within another; an empty one if it is missing."""
    value = fields.get(key)
    return value if isinstance(value, dict) else {}


def judge(compared: Sequence[Pair], settings: GateSettings) -> Judgement:
    """Judge which benchmarks regressed, are missing or failed."""
    found = [
        item
        for pair in compared
        if pair.state is not PairState.NEW
        for item in _measures(pair, settings.limits(_engine(pair)))
    ]
    return collect(found)


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
    """Return after over before, by rounds or else by medians and quartiles."""
    if before.data and after.data:
        return ratio(_blocks(after.data), _blocks(before.data))
    if min(before.q1, after.q1) <= 0:
        return None
    rounds = min(before.rounds, after.rounds)
    value = after.median / before.median
    if rounds < MIN_ROUNDS:
        return Ratio(value, None, None, rounds)
    return Ratio(value, after.q1 / before.q3, after.q3 / before.q1, rounds)


def _blocks(times_s: Sequence[float]) -> list[float]:
    """Return the medians of ``BLOCKS`` groups of rounds, or the rounds if there are fewer."""
    count = len(times_s)
    if count <= BLOCKS:
        return list(times_s)
    ends = [count * block // BLOCKS for block in range(BLOCKS + 1)]
    return [statistics.median(times_s[start:end]) for start, end in itertools.pairwise(ends)]


def _measures(pair: Pair, limits: GateLimits) -> Iterator[Finding | str]:
    """Judge each measure: a finding, why it is not judged, or an empty text for a pass."""
    before, after = pair.before, pair.after
    if pair.state in {PairState.MISSING, PairState.FAILED}:
        regression = Regression.MISSING if pair.state is PairState.MISSING else Regression.FAILED
        yield Finding(pair.fullname, Measure.PRESENT, regression, 0.0)
    if before is None or after is None:
        return
    yield _time(pair, before, after, limits.time)
    yield from _memory(pair.fullname, before, after, limits.memory)
    shares = ((Measure.SUCCESS, _success), (Measure.OK, _ok_share))
    for measure, share in shares:
        new = share(after)
        if new is not None:
            old = share(before)
            old = 1.0 if old is None else old
            worse = new < old - limits.success
            finding = Finding(
                pair.fullname,
                measure,
                Regression.LESS_COMPLETE,
                limits.success,
                before=old,
                after=new,
            )
            yield finding if worse else ""


def _time(pair: Pair, before: Benchmark, after: Benchmark, limit: float) -> Finding | str:
    """Judge the time, by the median and by the fastest round.

    Load on the machine slows most rounds but hardly all; a slower benchmark is slower in each.
    """
    if pair.time is None or pair.time.is_descriptive:
        return f"{pair.fullname}, time: too few or too short rounds to judge"
    found = verdict(pair.time, limit)
    if found is not Verdict.HIGHER:
        may_be = found is Verdict.INCONCLUSIVE and pair.time.value >= 1 + limit
        seen = f"{pair.fullname}, time: {pair.time.value - 1:+.1%}, inconclusive"
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


def _memory(
    name: str, before: Benchmark, after: Benchmark, limit: float
) -> Iterator[Finding | str]:
    """Judge the peak memory, if both files record it."""
    old, new = (_number(each, "peak_bytes") for each in (before, after))
    if old is not None and new is not None:
        more = Finding(name, Measure.MEMORY, Regression.MORE_MEMORY, limit, before=old, after=new)
        yield more if new > old * (1 + limit) else ""


def _number(benchmark: Failed, key: str) -> float | None:
    value = benchmark.extra_info.get(key)
    return value if isinstance(value, int | float) else None


def _success(benchmark: Failed) -> float | None:
    return _number(benchmark, "success")


def _ok_share(benchmark: Failed) -> float | None:
    """Return the share of trials that were ok, if the file records statuses."""
    counts = _attempts(benchmark)
    return counts.get("ok", 0) / sum(counts.values()) if counts else None


def _attempts(benchmark: Failed) -> dict[str, int]:
    statuses = _fields(benchmark.extra_info, "statuses")
    counts = {status: count for status, count in statuses.items() if isinstance(count, int)}
    return {status: count for status, count in counts.items() if status not in _NO_ATTEMPT}


def _was_tried(benchmark: Failed) -> bool:
    """Return whether a benchmark without a time was attempted; a skipped engine was not."""
    return "statuses" not in benchmark.extra_info or bool(_attempts(benchmark))


def _engine(pair: Pair) -> str:
    """Return the name under which limits of its own are set."""
    benchmark = pair.before or pair.after or pair.failure
    if benchmark is None:
        return pair.fullname
    engine = benchmark.extra_info.get("engine")
    return engine if isinstance(engine, str) else benchmark.name
