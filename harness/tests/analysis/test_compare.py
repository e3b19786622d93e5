"""Two runs side by side: only what bears comparing is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.analysis.compare import Basis, compare
from harness.model.record import Run, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.record import Trial

    MakeTrial = Callable[..., Trial]
    MakeRun = Callable[..., Run]

replace = msgspec.structs.replace


@pytest.fixture
def before(make_run: MakeRun, make_trial: MakeTrial) -> Run:
    return make_run(
        *(make_trial("legacy", wall_s, peak_bytes=400_000_000) for wall_s in (9.8, 10.0, 10.2)),
        *(make_trial("restore", wall_s, peak_bytes=100_000_000) for wall_s in (0.9, 1.0, 1.1)),
    )


def scaled(run: Run, factors: dict[str, float], **fields: object) -> Run:
    """Return the run as if each engine had taken so many times as long."""
    trials = tuple(
        replace(trial, wall_s=(trial.wall_s or 0) * factors[trial.engine]) for trial in run.trials
    )
    return replace(run, id="bbbb0002", trials=trials, **fields)


def test_on_one_machine_times_are_compared_as_they_are(before: Run) -> None:
    found = compare(before, scaled(before, {"legacy": 1, "restore": 1.5}))
    assert found.basis is Basis.TIMES
    assert found.differences == ()
    legacy, restore = found.changes
    assert legacy.time == 1
    assert restore.time == pytest.approx(1.5)
    assert restore.memory == 1


def machine(run: Run, **fields: object) -> dict[str, object]:
    return {"environment": replace(run.environment, **fields)}


def server(run: Run, **fields: object) -> dict[str, object]:
    return {"server": replace(run.server, **fields)}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda run: machine(run, cpu="Other CPU"), "machine: cpu"),
        (lambda run: machine(run, cores=64), "machine: cores"),
        (lambda run: machine(run, memory_bytes=64_000_000_000), "machine: memory"),
        (lambda run: server(run, kind="docker"), "server: kind"),
        (lambda run: server(run, version="17.6"), "server: version"),
        (lambda run: server(run, settings={"max_wal_size": "1GB"}), "server: max_wal_size"),
        (lambda run: server(run, profile="stock"), "server: profile"),
        (lambda run: server(run, image_digest="sha256:2"), "server: image"),
    ],
)
def test_across_machines_and_servers_only_memory_is_compared(
    before: Run, change: Callable[[Run], dict[str, object]], what: str
) -> None:
    # All is three times slower there, and restore is a third slower again: nobody can tell why.
    after = scaled(before, {"legacy": 3, "restore": 4}, **change(before))
    found = compare(before, after)
    assert found.basis is Basis.MEMORY
    assert [each.what for each in found.differences] == [what]
    assert [each.time for each in found.changes] == [None, None]
    assert [each.memory for each in found.changes] == [1, 1]


def test_on_other_datasets_nothing_is_compared(before: Run) -> None:
    other = replace(before, dataset=replace(before.dataset, rows=2000))
    found = compare(before, other)
    assert found.basis is Basis.NOTHING
    assert [(each.what, each.before, each.after) for each in found.differences] == [
        ("dataset: rows", "1000", "2000")
    ]
    assert all(change.time is None and change.memory is None for change in found.changes)


def test_other_software_is_named_and_forbids_nothing(before: Run) -> None:
    environment = replace(
        before.environment,
        packages={"psycopg": "3.3.0", "ijson": "3.4"},
        commit=None,
        python="CPython 3.13.0",
    )
    found = compare(before, replace(before, environment=environment, parameters={"rounds": 9}))
    assert found.basis is Basis.TIMES
    assert {each.what: (each.before, each.after) for each in found.differences} == {
        "software: python": ("CPython 3.11.7", "CPython 3.13.0"),
        "software: commit": ("01234567", "none"),
        "software: psycopg": ("3.2.10", "3.3.0"),
        "software: msgspec": ("0.19.0", "none"),
        "software: ijson": ("none", "3.4"),
        "parameter: rounds": ("3", "9"),
    }


def test_an_engine_in_one_run_only_stands_alone(before: Run) -> None:
    found = compare(before, replace(before, trials=before.trials[:3]))
    restore = found.changes[1]
    assert (restore.engine, restore.after, restore.time, restore.memory) == (
        "restore",
        None,
        None,
        None,
    )


def test_a_timeout_is_never_compared_as_a_time(before: Run) -> None:
    late = tuple(replace(trial, status=Status.TIMEOUT, wall_s=1.0) for trial in before.trials)
    assert all(
        change.time is None for change in compare(before, replace(before, trials=late)).changes
    )
