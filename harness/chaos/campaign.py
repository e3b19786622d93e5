"""A campaign: one server, one dataset, and restores until all faults have been injected.

It is recorded after each cycle, so a campaign that is stopped keeps its findings.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from harness.chaos import checks, restorer
from harness.chaos.choices import draw
from harness.chaos.cycle import CycleContext, PlannedFault, RestoreCycle
from harness.chaos.faults import KINDS
from harness.chaos.proxy import HOST
from harness.chaos.site import prepare
from harness.generate import cached
from harness.history import store as history
from harness.model import manifest
from harness.model.errors import ExitCode, HarnessError
from harness.model.record import Chaos, Cycle, Finding, Run
from harness.trial import attempt as trial
from harness.trial.environment import fingerprint
from harness.trial.stop import StopListener, StopRequested

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.chaos.options import ChaosOptions
    from harness.chaos.site import Announce, Site
    from harness.model.record import Kill

# The time limit of a restore without faults, and those of one that continues after a fault: beyond
# that it is hanging.
_UNDISTURBED_PATIENCE_S = 1800.0
_PATIENCE_S, _PATIENCE_FACTOR = 90.0, 20


def run_campaign(options: ChaosOptions, *, announce: Announce) -> Run:
    """Run a campaign with ``options``, and record it cycle by cycle.

    SIGINT, SIGTERM and SIGHUP stop it: all processes are ended, and the run is returned with
    ``finished_at`` None. Only in the main thread, and once per process: small disks need a mount
    namespace of its own.

    Args:
        options: the options.
        announce: called with a line for each fault and each cycle.

    Raises:
        HarnessError: the campaign failed; recorded cycles are kept.
        StopRequested: a signal came before the run was recorded.
    """
    with StopListener() as stop, contextlib.ExitStack() as cleanup:
        with stop.interruptible():
            backup = cached(options.spec(), options.cache)
            announce(f"dataset {backup}")
            site, left_out = cleanup.enter_context(prepare(options, backup, stop, announce))
        run = Run(
            id=history.new_id(),
            started_at=trial.now(),
            parameters=options.parameters(),
            dataset=site.expected.manifest.dataset(),
            server=site.server.record,
            environment=fingerprint(),
            chaos=Chaos(kills_wanted=options.kills, left_out=left_out),
        )
        store = history.open_history(options.results)
        store.write(run)
        with contextlib.suppress(StopRequested):
            for chaos in _cycles(site, Chaos(kills_wanted=options.kills, left_out=left_out)):
                run = msgspec.structs.replace(run, chaos=chaos)
                store.write(run)
            run = msgspec.structs.replace(run, finished_at=trial.now())
            store.write(run)
        return run


def exit_code(run: Run) -> ExitCode:
    """Return the exit code of a campaign: 3 if there are findings or missing faults."""
    if run.finished_at is None or run.chaos is None:
        return ExitCode.FAILED
    well = not run.chaos.findings and len(run.chaos.kills) >= run.chaos.kills_wanted
    return ExitCode.OK if well else ExitCode.REJECTS


def _cycles(site: Site, chaos: Chaos) -> Iterator[Chaos]:
    """Restore without faults, then with faults until all are injected; yield each state."""
    chaos, database = _cycle(site, chaos, 0, deque())
    site.target.drop(database)
    yield chaos
    if chaos.findings:
        site.announce("the restore without faults has findings; no faults are injected")
        return
    site = replace(
        site,
        undisturbed_s=chaos.cycles[0].wall_s,
        expected=replace(site.expected, rejects=site.rejects(0)),
    )
    weights = {
        kind: KINDS[kind].weight for kind in site.options.kinds if kind not in chaos.left_out
    }
    choices = draw(weights, site.options.kills, site.options.seed)
    planned = deque(PlannedFault(choice, choice.fraction) for choice in choices)
    missed: Counter[str] = Counter()
    number = 0
    while planned:
        number += 1
        first = planned[0]
        chaos, database = _cycle(site, chaos, number, planned)
        site.target.drop(database)
        if planned and planned[0] is first:
            # No fault was injected: it measures again how long a restore takes.
            site = replace(site, undisturbed_s=min(site.undisturbed_s, chaos.cycles[-1].wall_s))
            if not first.miss():
                missed[planned.popleft().choice.kind] += 1
                chaos = msgspec.structs.replace(chaos, missed=dict(missed))
        yield chaos


def _cycle(
    site: Site, chaos: Chaos, number: int, planned: deque[PlannedFault]
) -> tuple[Chaos, str]:
    """Restore one database and check it; return the new state, and the database."""
    database = site.target.make((site.backup / manifest.SCHEMA_SQL).read_text(encoding="utf-8"))
    restore_cycle = RestoreCycle(_context(site, chaos, number, database), planned)
    started_s = time.monotonic()
    try:
        code = restore_cycle.run()
        wall_s = time.monotonic() - started_s
        found = _check_database(site, number, database, restore_cycle)
    except OSError as error:
        raise HarnessError(
            f"cannot start the engine: {error.strerror}; check --engine-command"
        ) from error
    finally:
        restorer.end(restore_cycle.mark)
    if found:
        _keep_evidence(site, number)
    for finding in found:
        site.announce(f"    cycle {number} FINDING {finding.what}: {finding.detail}")
    made = Cycle(
        number=number, wall_s=round(wall_s, 3), starts=restore_cycle.starts, exit_code=code
    )
    site.announce(
        f"cycle {number}: {made.wall_s:.1f} s, {made.starts} attempt{'s' * (made.starts > 1)}, "
        + (f"{len(found)} findings" if found else "ok")
    )
    chaos = msgspec.structs.replace(
        chaos,
        cycles=(*chaos.cycles, made),
        kills=(*chaos.kills, *restore_cycle.kills),
        findings=(*chaos.findings, *found),
    )
    return chaos, database


def _context(site: Site, chaos: Chaos, number: int, database: str) -> CycleContext:
    dsn = site.target.dsn_through(HOST, site.proxy.port, database)
    executor = site.cluster.executor if site.cluster is not None else "threads"
    argv = site.options.command(dsn, site.source, site.folder, site.rejects(number), executor)
    landed = len(chaos.kills)

    def command(retry_for_s: int) -> tuple[str, ...]:
        return tuple(part.replace("{retry_for}", str(retry_for_s)) for part in argv)

    def tell(kill: Kill) -> None:
        nonlocal landed
        landed += 1
        site.announce(f"[{landed}/{chaos.kills_wanted}] {describe(kill)}")

    slack_s = _PATIENCE_S + _PATIENCE_FACTOR * site.undisturbed_s
    return CycleContext(
        number=number,
        target=site.target,
        proxy=site.proxy,
        disks=site.disks,
        cluster=site.cluster,
        store=site.store,
        database=database,
        command=command,
        env=site.env,
        log=site.log(number),
        undisturbed_s=site.undisturbed_s,
        patience_s=slack_s if site.undisturbed_s else _UNDISTURBED_PATIENCE_S,
        check=site.stop.check,
        tell=tell,
    )


def _check_database(
    site: Site, number: int, database: str, restore_cycle: RestoreCycle
) -> tuple[Finding, ...]:
    """Check a restored database, or report that the restore did not finish."""
    if restore_cycle.stuck is not None:
        return (Finding(cycle=number, what="stuck", count=1, detail=restore_cycle.stuck),)
    found = checks.check(
        site.target, database, site.rejects(number), restore_cycle.mark, site.expected
    )
    return checks.findings(number, found)


def _keep_evidence(site: Site, number: int) -> None:
    """Copy the logs and rejects of a cycle with findings, if asked for."""
    if site.options.keep is None:
        return
    into = site.options.keep / f"seed-{site.options.seed}-cycle-{number}"
    into.mkdir(parents=True, exist_ok=True)
    server_log = site.target.data.parent / "log"
    for path in (site.log(number), server_log):
        if path.exists():
            shutil.copy(path, into / ("server.log" if path is server_log else "restorer.log"))
    if site.rejects(number).is_dir():
        shutil.copytree(site.rejects(number), into / "rejects", dirs_exist_ok=True)


def describe(kill: Kill) -> str:
    """Describe a fault in a line, and how the restorer reacted."""
    where = f"cycle {kill.cycle}, {kill.at_s:.2f} s: {kill.kind}, {kill.hit}"
    if kill.exit_code is None:
        return f"{where}: reconnected"
    ended = f"exit code {kill.exit_code}" if kill.exit_code >= 0 else f"signal {-kill.exit_code}"
    if kill.resumed_after_s is None:
        return f"{where}: {ended}, not resumed"
    tries = f" at attempt {kill.attempts}" if kill.attempts > 1 else ""
    return f"{where}: {ended}, resumed after {kill.resumed_after_s:.1f} s{tries}"
