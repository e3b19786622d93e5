"""The bench loop: with fake engines for its order and records, with real processes for its end."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest

from harness.analysis.figures import figures
from harness.analysis.stats import Summary
from harness.bench import options as bench_options
from harness.bench import run as bench
from harness.bench import schedule
from harness.bench.options import BenchOptions
from harness.cli import bench as bench_arguments
from harness.cli.values import size_bytes
from harness.engines import fake as fake_engine
from harness.engines import registry as engines
from harness.engines.engine import Engine, Limitation
from harness.history.store import History
from harness.model.errors import ExitCode, HarnessError, InputError
from harness.model.record import Run, Status
from harness.report.blocks import to_terminal
from harness.report.run import bench_report
from harness.tests.processes import ended
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.servers import RunningServer

SMALL_ENGINE = Path(__file__).with_name("small_engine.py")
A, B = "fake:wall=1,mib=10", "fake:wall=2,mib=20"


def options(dataset: Path, tmp_path: Path, *names: str, **fields: object) -> BenchOptions:
    named = [fake_engine.engine(name) for name in names]
    usual = {"engines": tuple(named), "dataset": dataset, "results": tmp_path / "results"}
    usual["repeats"] = 0  # what else goes on here must not decide how many trials there are
    return BenchOptions(**{**usual, **fields})  # type: ignore[arg-type]


def parsed(*arguments: str) -> BenchOptions:
    parser = argparse.ArgumentParser()
    bench_arguments.add_arguments(parser)
    given = parser.parse_args(arguments)
    return bench_arguments.from_arguments(given, bench_arguments.chosen_engines(given))


def names(*arguments: str) -> list[str]:
    return [engine.name for engine in parsed(*arguments).engines]


def only_run(results: Path) -> Run:
    """Return the one run that was recorded, whether it is finished or not."""
    (path,) = results.glob("*.json")
    return msgspec.json.decode(path.read_bytes(), type=Run)


def orders(count: int, rounds: int, seed: str = "x") -> list[tuple[int, ...]]:
    """Return the order of each round: the engines' numbers."""
    chosen = [fake_engine.engine(f"fake:wall={number + 1}") for number in range(count)]
    turns = list(schedule.schedule(chosen, rounds=rounds, warmup=0, seed=seed))
    assert [turn.round for turn in turns] == [n for n in range(1, rounds + 1) for _ in chosen]
    places = [chosen.index(turn.engine) for turn in turns]
    return [tuple(places[n : n + count]) for n in range(0, len(places), count)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_each_engine_is_equally_often_at_each_place_and_behind_each_other(count: int) -> None:
    cycle = count if count % 2 == 0 else 2 * count
    found = orders(count, 2 * cycle)
    for half in (found[:cycle], found[cycle:]):
        assert all(sorted(order) == list(range(count)) for order in half)
        for place in range(count):
            assert set(Counter(order[place] for order in half).values()) == {cycle // count}
        behind = Counter(pair for order in half for pair in itertools.pairwise(order))
        assert len(set(behind.values())) <= 1
        assert len(behind) == count * (count - 1)
        before = Counter(pair for order in half for pair in itertools.combinations(order, 2))
        assert set(before.values()) <= {cycle // 2}


def test_the_order_is_drawn_from_the_runs_id_and_goes_on_as_it_began() -> None:
    assert orders(4, 8) == orders(4, 24)[:8]
    assert len({str(orders(4, 8, f"run{number}")) for number in range(20)}) == 20
    first = Counter(orders(2, 1, f"run{number}")[0] for number in range(200))
    assert min(first.values()) > 70  # nobody knows who begins


def test_warmups_come_first() -> None:
    a, b = fake_engine.engine(A), fake_engine.engine(B)
    turns = list(schedule.schedule([a, b], rounds=3, warmup=1, seed="x"))
    assert [(turn.round, turn.warmup) for turn in turns] == [
        *([(1, True)] * 2),
        *((number, False) for number in (1, 1, 2, 2, 3, 3)),
    ]


def test_each_trial_is_on_disk_before_the_next(dataset: Path, tmp_path: Path) -> None:
    on_disk: list[int] = []

    def announce(line: str) -> None:
        if line.startswith("["):
            run = only_run(tmp_path / "results")
            assert run.finished_at is None
            on_disk.append(len(run.trials))

    run = bench.run_bench(options(dataset, tmp_path, A, B, rounds=2), announce=announce)
    assert on_disk == [1, 2, 3, 4, 5, 6]
    assert only_run(tmp_path / "results") == run
    assert run.finished_at is not None
    assert bench.exit_code(run) is ExitCode.OK


NOISY, QUIET = "fake:wall=5/1,mib=10,other=9/0", "fake:wall=2/3,mib=10"


def test_a_noisy_round_is_run_again_as_a_whole_and_both_are_kept(
    dataset: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    given = options(dataset, tmp_path, NOISY, QUIET, rounds=2, warmup=0, repeats=3)
    run = bench.run_bench(given, announce=said.append)
    by_engine = {
        name: [(t.round, t.wall_s, t.repeated) for t in run.trials if t.engine == name]
        for name in (NOISY, QUIET)
    }
    assert by_engine == {
        NOISY: [(1, 5.0, True), (1, 1.0, False), (2, 5.0, True), (2, 1.0, False)],
        QUIET: [(1, 2.0, True), (1, 3.0, False), (2, 2.0, True), (2, 3.0, False)],
    }
    found = figures(run).engine(NOISY)
    assert found is not None
    assert (found.attempted, found.wall_s) == (2, Summary(2, 1.0, 1.0, 1.0))
    assert run.finished_at is not None
    assert said[2].startswith("[0/4]")
    assert said[2].endswith("the round was noisy, running it again")
    assert "[4/4]" in said[-1]
    listed = to_terminal(bench_report(figures(run)))
    assert "round 1: other processes kept 9.00 cores busy; repeated" in " ".join(listed.split())


@pytest.mark.parametrize("repeats", [0, 2])
def test_noisy_rounds_are_run_again_only_so_often(
    dataset: Path, tmp_path: Path, repeats: int
) -> None:
    given = options(dataset, tmp_path, "fake:other=9", QUIET, rounds=4, repeats=repeats)
    run = bench.run_bench(given, announce=lambda _: None)
    assert sum(trial.repeated for trial in run.trials) == 2 * repeats
    assert {each.attempted for each in figures(run).engines} == {4}
    assert run.finished_at is not None


def test_a_round_that_took_long_on_a_quiet_machine_counts(dataset: Path, tmp_path: Path) -> None:
    given = options(dataset, tmp_path, "fake:wall=1/1/90/1,mib=10", rounds=4, warmup=0, repeats=3)
    run = bench.run_bench(given, announce=lambda _: None)
    assert [(trial.wall_s, trial.repeated) for trial in run.trials] == [
        *((1.0, False), (1.0, False), (90.0, False), (1.0, False))
    ]


def test_a_run_has_the_rounds_that_are_wanted(dataset: Path, tmp_path: Path) -> None:
    wanted: list[int] = []

    def rounds_wanted(run: Run) -> int:
        made = sum(not trial.warmup for trial in run.trials)
        wanted.append(made)
        return 2 if made < 2 * 2 else 3

    given = options(dataset, tmp_path, A, B, rounds=9)
    run = bench.run_bench(given, announce=lambda _: None, rounds_wanted=rounds_wanted)
    assert [trial.round for trial in run.trials if not trial.warmup] == [1, 1, 2, 2, 3, 3]
    assert run.finished_at is not None
    assert wanted[-1] == 6


def test_many_rows_get_fewer_rounds() -> None:
    assert parsed("--rows", "1000000").rounds == 6
    assert parsed("--rows", "1000001").rounds == 3
    assert parsed("--rows", "4000000", "--rounds", "9").rounds == 9


def test_a_run_tells_what_it_did(dataset: Path, tmp_path: Path) -> None:
    said: list[str] = []
    given = options(dataset, tmp_path, A, rounds=1, server="postgresql://me:s3cret@x/y")
    run = bench.run_bench(given, announce=said.append)
    assert (run.dataset.scenario, run.dataset.records) == ("pets", 5)
    assert run.parameters["rounds"] == 1
    assert run.parameters["engines"] == [A]
    assert run.environment.cores >= 1
    assert "s3cret" not in msgspec.json.encode(run).decode()
    assert said[-1] == f"[2/2] {A} round 1: ok 1.00 s, 10.5 MB"


def test_trials_that_are_not_ok_are_kept_and_tell_in_the_exit_code(
    dataset: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    late = "fake:wall=9,end=timeout,restored=0"
    run = bench.run_bench(
        options(dataset, tmp_path, A, late, rounds=1, warmup=0), announce=said.append
    )
    assert {trial.engine: trial.status for trial in run.trials} == {
        A: Status.OK,
        late: Status.TIMEOUT,
    }
    assert run.finished_at is not None
    assert bench.exit_code(run) is ExitCode.REJECTS
    told = "timeout 9.00 s, 52.4 MB - stopped at the time limit, after 9.0 s"
    assert any(told in line for line in said)


@pytest.mark.slow
def test_an_engine_is_not_tried_on_what_it_cannot_read(dataset: Path, tmp_path: Path) -> None:
    limit = Limitation(
        key="style", value="compact", status=Status.ERROR, why="it cannot", skip=True
    )
    skipped = Engine(name="no", template=("no-such-program",), limitations=(limit,))
    given = options(dataset, tmp_path, engines=(skipped,), rounds=1, warmup=0, server="embedded")
    run = bench.run_bench(given, announce=lambda _: None)
    assert [(trial.status, trial.detail) for trial in run.trials] == [(Status.SKIPPED, "it cannot")]
    assert bench.exit_code(run) is ExitCode.REJECTS


@pytest.mark.slow
def test_a_real_engine_goes_through(
    dataset: Path, tmp_path: Path, small_engine: Callable[..., Engine]
) -> None:
    given = options(
        dataset, tmp_path, engines=(small_engine(),), rounds=1, warmup=1, server="embedded"
    )
    run = bench.run_bench(given, announce=lambda _: None)
    assert [(trial.status, trial.warmup) for trial in run.trials] == [
        (Status.OK, True),
        (Status.OK, False),
    ]
    assert run.server.kind == "embedded"


@pytest.mark.slow
def test_where_there_is_no_floor_the_others_are_measured_all_the_same(
    dataset: Path, tmp_path: Path, small_engine: Callable[..., Engine], server: RunningServer
) -> None:
    """The truth is of another dataset, so that what is restored for the floor is not right."""
    path = dataset / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 3', '"rows": 2').replace(": 3,", ": 2,"))
    given = options(
        dataset,
        tmp_path,
        engines=(small_engine(), engines.named("floor")),
        rounds=1,
        warmup=0,
        server=server.dsn("postgres"),
        cache=tmp_path / "cache",
    )
    run = bench.run_bench(given, announce=lambda _: None)
    floor, small = sorted(run.trials, key=lambda trial: trial.engine)
    assert small.exit_code == 0
    assert (floor.status, floor.restored, floor.expected) == (Status.ERROR, 0, 4)
    assert floor.detail is not None
    assert "pets differs from the ground truth" in floor.detail


@pytest.mark.slow
def test_the_floor_runs_in_a_bench_with_its_jobs(
    dataset: Path, tmp_path: Path, server: RunningServer
) -> None:
    given = options(
        dataset,
        tmp_path,
        engines=(engines.named("floor"), fake_engine.engine(A)),
        rounds=1,
        warmup=0,
        jobs=3,
        server=server.dsn("postgres"),
        cache=tmp_path / "cache",
    )
    run = bench.run_bench(given, announce=lambda _: None)
    # The order of a round is drawn at random.
    trials = {trial.engine: trial for trial in run.trials}
    assert {name: trial.status for name, trial in trials.items()} == {
        "floor": Status.OK,
        A: Status.OK,
    }
    assert run.parameters["jobs"] == 3
    report = msgspec.json.decode(trials["floor"].report)
    assert (report["engine"], report["jobs"]) == ("floor", 3)
    assert str(tmp_path) not in str(trials["floor"].report)


@pytest.mark.slow
def test_a_server_that_dies_ends_the_run_and_keeps_what_was_measured(
    dataset: Path, tmp_path: Path, small_engine: Callable[..., Engine]
) -> None:
    others = set(psutil.Process().children(recursive=True))  # the session's own server, too

    def kill_server(line: str) -> None:
        if line.startswith("[1/"):
            for process in set(psutil.Process().children(recursive=True)) - others:
                with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                    if process.name() == "postgres":
                        process.kill()

    given = options(
        dataset, tmp_path, engines=(small_engine(),), rounds=3, warmup=0, server="embedded"
    )
    with pytest.raises(HarnessError):
        bench.run_bench(given, announce=kill_server)
    run = only_run(tmp_path / "results")
    assert [trial.status for trial in run.trials] == [Status.OK]
    assert run.finished_at is None
    assert bench.exit_code(run) is ExitCode.FAILED


def test_the_defaults_are_the_documented_ones() -> None:
    given = parsed()
    assert [engine.name for engine in given.engines] == [
        *("legacy", "legacy-psycopg2", "restore", "floor")
    ]
    assert (given.rows, given.rounds, given.warmup, given.server) == (100_000, 6, 1, "auto")
    assert given.limits == Limits(1800.0, None)


def test_engines_of_the_users_join_the_default_ones() -> None:
    mine = "mine=x {backup} {dsn}"
    assert names("--engine-command", mine) == [
        *("legacy", "legacy-psycopg2", "restore", "mine", "floor")
    ]
    assert names("--engine-command", mine, "--engine", "mine") == ["mine", "floor"]
    assert names("--engine-command", mine, "--engine", "restore") == ["restore", "mine", "floor"]


def test_the_floor_runs_beside_real_engines_unless_it_is_left_out() -> None:
    assert names("--engine", "legacy") == ["legacy", "floor"]
    assert names("--engine", "floor", "--engine", "legacy") == ["floor", "legacy"]
    assert names("--engine", "legacy", "--no-floor") == ["legacy"]
    assert names("--no-floor") == ["legacy", "legacy-psycopg2", "restore"]
    assert names("--engine", "floor", "--no-floor") == ["floor"]
    assert names("--engine", A, "--engine", B) == [A, B]


@pytest.mark.parametrize(
    ("text", "size"),
    [("512MiB", 512 << 20), ("2 GiB", 2 << 30), ("1.5gb", 1_500_000_000), ("100KB", 100_000)],
)
def test_sizes(text: str, size: int) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--rows", "0"], "--rows 0 is out of range"),
        (["--rounds", "0"], "--rounds 0 is out of range"),
        (["--warmup", "-1"], "--warmup -1 is out of range"),
        (["--jobs", "0"], "--jobs 0 is out of range"),
        (["--timeout", "0"], "--timeout 0 is out of range"),
        (["--memory-limit", "0MB"], "'0MB' is out of range"),
        (["--timeout", "nan"], "--timeout nan is out of range"),
        (["--memory-limit", "512"], "'512' is not a size"),
        (["--memory-limit", "lots"], "'lots' is not a size"),
        (["--engine", "legacy", "--engine", "legacy"], "given twice"),
        (["--engine", "psql"], "no engine is called 'psql'"),
        (["--engine", "fake:wal=1"], "a fake engine is written"),
        (["--engine-command", "x"], "expected NAME=COMMAND"),
        (["--dataset", "/no/such/folder"], "no dataset there"),
        (["--faults", "many"], "many"),
        (["--style", "ugly"], "ugly"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: list[str], says: str) -> None:
    with pytest.raises(InputError) as raised:
        parsed(*arguments)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_dataset_may_be_named_by_the_folder_that_it_was_made_in(
    dataset: Path, damaged_dataset: Path
) -> None:
    assert bench_options.dataset_folder(dataset) == dataset
    assert bench_options.dataset_folder(dataset.parent) == max(dataset, damaged_dataset)


class _Bench:
    """A bench in a process of its own, in the midst of its second trial."""

    def __init__(self, dataset: Path, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        mark = folder / "child"
        engine = f"slow={sys.executable} {SMALL_ENGINE} {{backup}} {{dsn}} {{rejects}}"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "harness", "bench", "--server", "embedded"),
                *("--dataset", dataset, "--results", self.results, "--warmup", "0"),
                *("--engine", A, "--engine", "slow", "--no-floor"),
                *("--engine-command", f"{engine} child={mark} sleep=600"),
            ],
            env={**engines.environment({}), "TMPDIR": str(self.temporary)},
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        deadline = time.monotonic() + 60
        while not (mark.exists() and mark.read_text()):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        harness = psutil.Process(self.process.pid)
        self.family = [*harness.children(recursive=True), psutil.Process(int(mark.read_text()))]

    def remaining(self) -> list[psutil.Process]:
        """Return what still runs, after it has had time to end."""
        _, alive = psutil.wait_procs(self.family, timeout=20)
        return [one for one in alive if not ended(one.pid)]


@pytest.fixture
def running(dataset: Path, tmp_path: Path) -> Iterator[_Bench]:
    """Have a bench that runs, with a server, a launcher, an engine and a child of the engine."""
    folder = tmp_path / "bench"
    folder.mkdir()
    started = _Bench(dataset, folder)
    yield started
    started.process.kill()
    started.process.communicate()
    for one in started.remaining():
        one.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_stopped_keeps_what_it_has_and_leaves_nothing(
    running: _Bench, number: signal.Signals
) -> None:
    names = {one.name() for one in running.family}
    assert "postgres" in names  # else this test would prove nothing
    os.killpg(running.process.pid, number)  # as a terminal does
    running.process.send_signal(number)  # and someone impatient
    out, err = running.process.communicate(timeout=60)
    assert running.process.returncode == ExitCode.FAILED, err
    assert "Traceback" not in out + err
    run = only_run(running.results)
    assert run.finished_at is None
    *made, last = [(trial.engine, trial.status) for trial in run.trials]
    assert last == ("slow", Status.INTERRUPTED)
    assert made in ([], [(A, Status.OK)])  # which is first is drawn
    assert running.remaining() == []
    assert list(running.temporary.iterdir()) == []
    assert History(running.results).find("latest") == run


@pytest.mark.slow
def test_a_harness_that_is_killed_leaves_no_process_and_a_readable_run(running: _Bench) -> None:
    running.process.kill()
    running.process.wait(20)
    assert running.remaining() == []
    run = History(running.results).find("latest")
    assert [trial.engine for trial in run.trials] in ([], [A])  # which is first is drawn
    assert run.finished_at is None


def test_a_history_that_cannot_be_written_is_found_before_anything_is_measured(
    dataset: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    (tmp_path / "results").write_text("a file where a folder should be")
    with pytest.raises(HarnessError, match="--results"):
        bench.run_bench(options(dataset, tmp_path, A), announce=said.append)
    assert not any(line.startswith("[") for line in said)
