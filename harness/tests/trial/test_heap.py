"""The pass with memray: real processes whose heap is known, on a real server, apart from trials."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.analysis.figures import figures
from harness.bench import run as bench
from harness.bench.options import BenchOptions, options_from_run
from harness.engines import fake as fake_engine
from harness.engines import registry as engines
from harness.engines.engine import Engine, Limitation
from harness.history.store import History
from harness.model.errors import ExitCode, InputError
from harness.model.record import Status
from harness.tests.trial import conftest
from harness.trial import heap, heap_recordings
from harness.trial.heap_site import traced_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.record import HeapFunction, Run
    from harness.servers import RunningServer
    from harness.trial.attempt import TrialContext

    MakeContext = Callable[..., TrialContext]
    MakeEngine = Callable[..., Engine]

MIB = 1 << 20
CHECKOUT = Path(__file__).parents[3]
FAKE = "fake:wall=1,mib=10"

# It restores, holds 30 MiB, and starts a program that holds 50 MiB and is then killed, as a worker
# is that is needed no more.
HOLDING = """
import runpy, subprocess, sys

def hold_thirty():
    return bytearray(30 << 20)

def restore():
    try:
        runpy.run_path({engine!r}, run_name="__main__")
    except SystemExit as ended:
        return ended.code

worker = subprocess.Popen([sys.executable, {worker!r}, "held"], stdout=-1, text=True)
assert worker.stdout.readline() == "held\\n"
held = hold_thirty()
worker.kill()
worker.wait()
sys.exit(restore())
"""
WORKER = """
import sys, time

def hold_fifty():
    return bytearray(50 << 20)

held = hold_fifty()
print(sys.argv[1], flush=True)
time.sleep(600)
"""


@pytest.fixture
def holding(tmp_path: Path) -> Engine:
    """Return a real engine whose heap is known."""
    main, worker = tmp_path / "holding.py", tmp_path / "worker.py"
    main.write_text(HOLDING.format(engine=str(conftest.SMALL_ENGINE), worker=str(worker)))
    worker.write_text(WORKER)
    return Engine(
        name="holding", template=(sys.executable, str(main), "{backup}", "{dsn}", "{rejects}")
    )


def function(of: tuple[HeapFunction, ...], name: str) -> HeapFunction:
    (found,) = [each for each in of if each.function == name]
    return found


@pytest.mark.slow
def test_a_heap_is_traced_with_the_workers_and_verified(
    holding: Engine, context_of: MakeContext, dataset: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    found = heap.trace(holding, context_of(dataset), page)
    assert (found.status, found.detail) == (Status.OK, None)
    assert found.processes == 2
    thirty, fifty = (function(found.functions, name) for name in ("hold_thirty", "hold_fifty"))
    assert thirty.bytes == pytest.approx(30 * MIB, rel=0.001)
    assert fifty.bytes == pytest.approx(50 * MIB, rel=0.001)
    assert (thirty.file, thirty.line) == ("holding.py", 5)
    assert (fifty.file, fifty.line) == ("worker.py", 5)
    assert found.peak_bytes is not None
    assert 80 * MIB < found.peak_bytes < 120 * MIB
    assert found.allocations is not None
    assert found.allocations > 2
    assert len(found.functions) <= heap_recordings.MAX_FUNCTIONS
    assert found.functions[0] == fifty
    text = page.read_text(encoding="utf-8")
    assert found.flame_graph == "page.html"
    assert "hold_fifty" in text  # of the process that held the most
    assert "hold_thirty" not in text
    assert '<script src="http' not in text  # it needs no network
    for folder in (CHECKOUT, tmp_path, Path(sys.prefix)):
        assert f'"{folder}' not in text


@pytest.mark.slow
def test_what_is_traced_that_goes_wrong_is_told(
    small_engine: MakeEngine, context_of: MakeContext, dataset: Path, tmp_path: Path
) -> None:
    engine = small_engine("sql=DELETE FROM pets WHERE id = 2")
    found = heap.trace(engine, context_of(dataset), tmp_path / "page.html")
    assert found.status is Status.WRONG_RESULT
    assert found.detail == "pets: 1 of 3 rows missing"
    assert found.peak_bytes is not None


@pytest.mark.parametrize("argv", [("true",), (sys.executable, "-I", "-c", "pass")])
def test_what_cannot_be_traced_is_told(
    context_of: MakeContext, dataset: Path, tmp_path: Path, argv: tuple[str, ...]
) -> None:
    page = tmp_path / "page.html"
    found = heap.trace(Engine("other", argv), context_of(dataset), page)
    assert found.detail is not None
    assert found.detail.endswith(heap.NOT_TRACED)
    assert (found.peak_bytes, found.processes, found.flame_graph) == (None, 0, None)
    assert not page.exists()


def test_an_engine_whose_python_has_no_memray_runs_untraced(
    context_of: MakeContext, dataset: Path, tmp_path: Path
) -> None:
    python = getattr(sys, "_base_executable", sys.executable)
    if subprocess.run([python, "-c", "import memray"], stderr=-1, check=False).returncode == 0:
        pytest.skip("every Python here has memray")
    marker = tmp_path / "ran"
    engine = Engine("bare", (python, "-c", f"open({str(marker)!r}, 'w')"))
    found = heap.trace(engine, context_of(dataset), tmp_path / "page.html")
    assert marker.exists()
    assert found.detail is not None
    assert found.detail.endswith(heap.NO_MEMRAY)


def test_what_an_engine_cannot_read_is_not_traced(
    context_of: MakeContext, dataset: Path, tmp_path: Path
) -> None:
    limit = Limitation(
        key="style", value="compact", status=Status.ERROR, why="it cannot", skip=True
    )
    engine = Engine("no", ("no-such-program",), limitations=(limit,))
    found = heap.trace(engine, context_of(dataset), tmp_path / "page.html")
    assert (found.status, found.detail) == (Status.SKIPPED, "it cannot")


RUN = ["-m", "memray", "run", "--quiet", "--output", "R"]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["-P", "-m", "restore", "b", "-m"], ["-P", *RUN, "-m", "restore", "b", "-m"]),
        (["-Pmrestore", "b"], ["-P", *RUN, "-m", "restore", "b"]),
        (["-c", "pass", "-x"], [*RUN, "-c", "pass", "-x"]),
        (["-cpass"], [*RUN, "-c", "pass"]),
        (["run.py", "-c"], [*RUN, "run.py", "-c"]),
        (["-X", "dev", "-Wmc", "run.py"], ["-X", "dev", "-Wmc", *RUN, "run.py"]),
        (["-Ximporttime", "-m", "x"], ["-Ximporttime", *RUN, "-m", "x"]),
        (
            ["--check-hash-based-pycs", "never", "x.py"],
            ["--check-hash-based-pycs", "never", *RUN, "x.py"],
        ),
        (["-"], None),
        (["-V"], None),
        ([], None),
    ],
)
def test_memray_is_put_before_an_interpreters_program(
    words: list[str], command: list[str] | None
) -> None:
    assert traced_command(words, "R") == command


def test_a_page_holds_no_password_and_no_folder(tmp_path: Path) -> None:
    script, recording, page = (tmp_path / name for name in ("x.py", "x.memray", "x.html"))
    script.write_text("def hold():\n    return bytearray(9 << 20)\nheld = hold()\n")
    url = "postgresql://me:s3cret@localhost/db"
    run = [sys.executable, "-m", "memray", "run", "--quiet", "--output", str(recording)]
    subprocess.run([*run, str(script), url, "hidd3n"], check=True)
    (read,), torn = heap_recordings.recordings(tmp_path)
    assert torn == 0
    assert heap_recordings.draw(read, page, ["hidd3n"]) is None
    text = page.read_text(encoding="utf-8")
    assert "postgresql://me:***@localhost/db ***" in text
    assert "s3cret" not in text
    assert "hidd3n" not in text
    assert str(tmp_path) not in text
    assert '"x.py"' in text


def test_a_page_that_cannot_be_drawn_is_told_and_not_kept(tmp_path: Path) -> None:
    recording, page = tmp_path / "x.memray", tmp_path / "x.html"
    recording.write_bytes(b"no recording")
    told = heap_recordings.draw(
        heap_recordings.Recording(recording, 1, 1, Counter()), page, ["binary"]
    )
    assert told is not None
    assert "does not look like a *** generated by memray" in told
    assert not page.exists()


def test_a_recording_that_is_none_is_counted(tmp_path: Path) -> None:
    (tmp_path / "1.memray").write_bytes(b"no recording")
    assert heap_recordings.recordings(tmp_path) == ((), 1)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/usr/lib/python3.12/json/decoder.py", "json/decoder.py"),
        ("/x/lib/python3.11/site-packages/psycopg/copy.py", "psycopg/copy.py"),
        ("/usr/lib/python3.11/dist-packages/a.py", "a.py"),
        (f"{engines.ROOT}/restore/read.py", "restore/read.py"),
        (f"{engines.ROOT}/.nox/t/lib/python3.11/site-packages/a/b.py", "a/b.py"),
        ("/home/me/mine.py", "mine.py"),
        ("<frozen importlib._bootstrap>", "importlib._bootstrap"),
        ("<string>", "<string>"),
    ],
)
def test_files_are_named_without_a_machines_folders(file: str, name: str) -> None:
    assert heap_recordings.without_folder(file) == name


def test_without_memray_nothing_is_begun(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"--memray: memray is not installed; install the extra"):
        BenchOptions(engines=(fake_engine.engine(FAKE),), dataset=dataset, memray=True)


def options(dataset: Path, tmp_path: Path, server: RunningServer, *chosen: Engine) -> BenchOptions:
    return BenchOptions(
        engines=chosen,
        dataset=dataset,
        results=tmp_path / "results",
        rounds=2,
        warmup=1,
        repeats=0,
        server=server.dsn("postgres"),
        memray=True,
    )


def timed(run: Run) -> list[tuple[str, int, bool]]:
    return [(trial.engine, trial.round, trial.warmup) for trial in run.trials]


@pytest.mark.slow
def test_a_run_keeps_heaps_apart_from_its_trials(
    dataset: Path, tmp_path: Path, server: RunningServer, small_engine: MakeEngine
) -> None:
    said: list[str] = []
    chosen = (small_engine(), fake_engine.engine(FAKE))
    run = bench.run_bench(options(dataset, tmp_path, server, *chosen), announce=said.append)
    assert bench.exit_code(run) is ExitCode.OK
    assert len(run.trials) == 6
    assert [figure.attempted for figure in figures(run).engines] == [2, 2]
    small, fake = run.heaps
    assert (small.engine, small.status, small.processes) == ("small", Status.OK, 1)
    assert (fake.status, fake.detail) == (Status.SKIPPED, "a fake engine has no heap")
    assert said[-2].startswith("small with memray: ok peak ")
    history = History(tmp_path / "results")
    assert small.flame_graph is not None
    assert sorted(path.name for path in history.root.iterdir()) == sorted(
        [small.flame_graph, *(path.name for path in history.files())]
    )
    assert history.find().heaps == run.heaps
    assert run.parameters["memray"] is True


@pytest.mark.slow
def test_a_run_that_was_stopped_before_its_heaps_goes_on_with_them(
    dataset: Path, tmp_path: Path, server: RunningServer, small_engine: MakeEngine
) -> None:
    given = options(dataset, tmp_path, server, small_engine())
    untraced = dataclasses.replace(given, memray=False, results=tmp_path / "untraced")
    whole = bench.run_bench(untraced, announce=lambda _: None)
    assert whole.heaps == ()
    cut_off = msgspec.structs.replace(whole, finished_at=None)
    resumed = bench.run_bench(given, announce=lambda _: None, resume=cut_off)
    assert timed(resumed) == timed(whole)
    assert [found.engine for found in resumed.heaps] == ["small"]
    assert resumed.finished_at is not None


def test_a_run_with_memray_is_made_again_with_memray(dataset: Path, tmp_path: Path) -> None:
    given = BenchOptions(
        engines=(fake_engine.engine(FAKE),),
        dataset=dataset,
        results=tmp_path,
        rounds=1,
        memray=True,
    )
    run = bench.run_bench(given, announce=lambda _: None)
    assert options_from_run(run, dataset=dataset).memray
    assert "RESTOREBENCH_HEAPS" not in os.environ
