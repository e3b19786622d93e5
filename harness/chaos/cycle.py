"""One cycle: a database restored through injected faults until the restore finishes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from harness.chaos import restorer
from harness.chaos.faults import KINDS, Scene
from harness.model.errors import ExitCode
from harness.model.record import Kill
from harness.trial import output

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from harness.chaos.choices import FaultChoice
    from harness.chaos.dask_cluster import DaskCluster
    from harness.chaos.faults import Disks, Hit
    from harness.chaos.proxy import Proxy
    from harness.chaos.restorer import Restorer
    from harness.chaos.store import Store
    from harness.chaos.target import Target

# Maximum number of faults in one restore; a further one would find little left to do.
MAX_KILLS = 4

# A resumed restore may be refused while its former processes still end and the server recovers:
# some 40 s in all.
MAX_FAILURES = 20
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.5

# A fault that came too late is injected earlier in the next restore, and much earlier if it came in
# time but had no target. After too many misses it is given up.
_EARLIER, _MUCH_EARLIER = 0.85, 0.5
MAX_MISSES = 8

_ENDED_WELL = (ExitCode.OK, ExitCode.REJECTS)


@dataclass(slots=True)
class PlannedFault:
    """A fault that has not been injected yet.

    Attributes:
        fraction: when, as a share of the duration of a restore without faults.
        tried: whether its time came without a target.
    """

    choice: FaultChoice
    fraction: float
    tried: bool = False
    misses: int = 0

    def miss(self) -> bool:
        """Move it earlier for the next restore; return whether to keep it."""
        self.fraction *= _MUCH_EARLIER if self.tried else _EARLIER
        self.misses += 2 if self.tried else 1
        self.tried = False
        return self.misses <= MAX_MISSES


@dataclass(frozen=True, slots=True)
class CycleContext:
    """The surroundings of a cycle.

    Attributes:
        number: number of the cycle.
        command: returns the engine's command line, given its ``--retry-for`` in seconds.
        env: its environment.
        log: file for its output.
        undisturbed_s: duration of a restore without faults; 0 while that is measured.
        patience_s: time limit of one attempt, or of its rest after a fault.
        check: called repeatedly; may raise to end the campaign.
        tell: called with each fault once its consequences are known.
    """

    number: int
    target: Target
    proxy: Proxy
    disks: Disks | None
    cluster: DaskCluster | None
    store: Store | None
    database: str
    command: Callable[[int], tuple[str, ...]]
    env: Mapping[str, str]
    log: Path
    undisturbed_s: float
    patience_s: float
    check: Callable[[], None]
    tell: Callable[[Kill], None]


@dataclass(slots=True)
class RestoreCycle:
    """A restore over all its attempts, with the faults injected into it.

    Attributes:
        mark: the mark of all its processes.
        kills: the faults that were injected.
        starts: number of attempts.
        stuck: why it could not finish, if so.
    """

    context: CycleContext
    planned: deque[PlannedFault]
    mark: str = field(default_factory=restorer.new_mark)
    kills: list[Kill] = field(default_factory=list)
    starts: int = 0
    stuck: str | None = None
    _open: Kill | None = None
    _hit_s: float = 0.0
    _base_s: float = 0.0
    _fault_end: tuple[float, Callable[[], None]] | None = None

    def run(self) -> int | None:
        """Restore until it finishes; return the last exit code, None if it hangs.

        Raises:
            OSError: the engine cannot be started.
        """
        failures, code = 0, None
        while True:
            process = self._start()
            landed = self.landed
            code = self._watch(process)
            self._end_fault()
            was_hit = self.landed > landed
            if code is None or code in _ENDED_WELL:
                break
            failures = 0 if was_hit else failures + 1
            if code == ExitCode.USAGE or failures > MAX_FAILURES:
                self.stuck = f"exit code {code} after {self.starts} attempts: {self._last_line()}"
                break
            if was_hit and self._open is not None:
                self._open = msgspec.structs.replace(self._open, exit_code=code)
            self._pause(failures)
        self._close()
        return code

    @property
    def landed(self) -> int:
        """Return the number of faults injected so far."""
        return len(self.kills) + (self._open is not None)

    def _start(self) -> Restorer:
        retry_for_s = self.planned[0].choice.retry_for_s if self.planned else 0
        context = self.context
        process = restorer.start(context.command(retry_for_s), context.env, self.mark, context.log)
        self.starts += 1
        self._base_s = process.started_s
        if self._open is not None:
            self._open = msgspec.structs.replace(
                self._open,
                attempts=self._open.attempts + 1,
                resumed_after_s=round(process.started_s - self._hit_s, 3),
            )
        return process

    def _watch(self, process: Restorer) -> int | None:
        """Inject faults into an attempt until it ends; return its exit code, None if it hangs."""
        scene = Scene(
            self.context.target,
            self.context.proxy,
            self.context.disks,
            self.context.database,
            process,
            self.context.cluster,
            self.context.store,
        )
        while (code := process.exit_code) is None:
            self.context.check()
            now_s = time.monotonic()
            if self._fault_end is not None and now_s >= self._fault_end[0]:
                self._end_fault()
            if self._is_due(now_s):
                self._hit(scene)
            if now_s > self._base_s + self.context.patience_s:
                self.stuck = f"hanging: not finished after {self.context.patience_s:.0f} s"
                return None
            time.sleep(restorer.LOOK_INTERVAL_S)
        return code

    def _is_due(self, now_s: float) -> bool:
        if not self.planned or self._fault_end is not None or self.landed >= MAX_KILLS:
            return False
        return now_s >= self._base_s + self.planned[0].fraction * self.context.undisturbed_s

    def _hit(self, scene: Scene) -> None:
        planned = self.planned[0]
        choice, planned.tried = planned.choice, True
        at_s = time.monotonic()
        hit = KINDS[choice.kind].inject(scene, choice)
        if hit is None:
            return
        self.planned.popleft()
        self._close()
        self._hit_s = self._base_s = at_s
        self._open = self._kill(choice, hit, at_s - scene.restorer.started_s)
        if hit.end is not None:
            self._fault_end = (at_s + hit.hold_s, hit.end)

    def _kill(self, choice: FaultChoice, hit: Hit, at_s: float) -> Kill:
        return Kill(
            cycle=self.context.number,
            kind=choice.kind,
            at_s=round(at_s, 3),
            hit=hit.text,
            attempts=0,
        )

    def _end_fault(self) -> None:
        if self._fault_end is not None:
            self._fault_end[1]()
            self._fault_end = None
            self._base_s = time.monotonic()

    def _close(self) -> None:
        """Complete the record of the last fault, before the next one or at the end."""
        if self._open is None:
            return
        if self.stuck is not None:
            self._open = msgspec.structs.replace(self._open, resumed_after_s=None)
        self.kills.append(self._open)
        self.context.tell(self._open)
        self._open = None

    def _pause(self, failures: int) -> None:
        until_s = time.monotonic() + min(_FIRST_PAUSE_S * 2**failures, _LONGEST_PAUSE_S)
        while time.monotonic() < until_s:
            self.context.check()
            time.sleep(restorer.LOOK_INTERVAL_S)

    def _last_line(self) -> str:
        return output.last_line([self.context.log]) or "no output"
