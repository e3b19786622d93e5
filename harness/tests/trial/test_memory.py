"""The meters of memory, beside processes, servers and control groups that hold a known amount.

What is sampled here waits until it was: none of it depends on how fast anything is.
"""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from harness.model.record import Status, Trial
from harness.servers.cgroup import folder_of
from harness.tests.processes import comes_true, peaks_around_a_sort, status
from harness.trial import attempt as trial
from harness.trial import sampling
from harness.trial.sampling import CgroupMeter, CpuMeter, Curve, ServerMeter, server_cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.engines.engine import Engine
    from harness.servers import RunningServer
    from harness.trial.attempt import TrialContext

MIB = 1 << 20
CHECKOUT = Path(__file__).parents[3]

needs_proc = pytest.mark.skipif(not sampling.PROC, reason="there is no /proc here")

# Each says that it holds its memory, and holds it until its input ends.
HOLDER = "import sys; held = b'x' * ({mib} << 20); print('held', flush=True); sys.stdin.read()"

# A process of its own samples, for its meter takes all that runs below it for the engine's.
SAMPLER = f"""
import json, os, psutil, subprocess, sys
from harness.trial.sampling import SAMPLES_PER_SEARCH, ProcMeter

HOLDER = {HOLDER!r}
tree = '''
import subprocess, sys
held = b"x" * (30 << 20)
codes = sys.argv[1:]
all = [subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) for code in codes]
assert [one.stdout.readline() for one in all] == [b"held\\\\n"] * len(all)
print("held", flush=True)
sys.stdin.read()
'''
"""


def sampled(code: str) -> Any:
    """Run the sampler with more code, and return what it prints as JSON."""
    to_dict = subprocess.run(
        [sys.executable, "-c", SAMPLER + code],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(to_dict.stdout)


@needs_proc
def test_the_memory_of_a_tree_is_what_is_private_and_once_what_is_shared() -> None:
    to_dict = sampled("""
codes = [HOLDER.format(mib=40), HOLDER.format(mib=60)]
root = subprocess.Popen([sys.executable, "-c", tree, *codes], stdin=-1, stdout=-1, text=True)
assert root.stdout.readline() == "held\\n"
meter = ProcMeter(root.pid)
for number in range(SAMPLES_PER_SEARCH + 1):
    meter.sample(number / 100)
seen = [one.memory_full_info() for one in psutil.Process().children(recursive=True)]
seen = [(one.uss, one.rss - one.uss) for one in seen]
print(json.dumps([meter.peak_bytes, meter.peak_source, max(meter.curve.to_dict()["bytes"]), seen]))
""")
    peak_bytes, source, highest_bytes, seen = to_dict
    private, shared = zip(*seen, strict=True)
    assert len(private) == 3
    assert sum(private) > 130 * MIB
    assert peak_bytes == pytest.approx(sum(private) + max(shared), rel=0.02)
    assert highest_bytes == peak_bytes
    assert source == sampling.TREE


@needs_proc
def test_what_forked_workers_inherit_counts_once() -> None:
    peak_bytes, source = sampled("""
forking = '''
import os, sys
held = b"x" * (80 << 20)
children = [os.fork() for _ in range(1)]
if children[0] and (child := os.fork()):
    print("held", flush=True)
own = b"y" * (20 << 20)
sys.stdin.read()
'''
root = subprocess.Popen([sys.executable, "-c", forking], stdin=-1, stdout=-1, text=True)
assert root.stdout.readline() == "held\\n"
import time
meter = ProcMeter(root.pid)
for number in range(200):
    meter.sample(time.monotonic())
    time.sleep(0.01)
root.stdin.close()
print(json.dumps([meter.peak_bytes, meter.peak_source]))
""")
    assert source == sampling.TREE
    assert 140 * MIB < peak_bytes < 170 * MIB


@needs_proc
def test_a_child_that_is_about_to_execute_another_program_is_not_counted_as_its_parent() -> None:
    """Between fork and exec it has the parent's memory: 100 MiB more, which nobody holds."""
    to_dict = sampled("""
forking = '''
import os, sys
held = b"x" * (100 << 20)
readable, writable = os.pipe()
child = os.fork()
if child == 0:
    os.read(readable, 1)
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
print(child, flush=True)
sys.stdin.readline()
os.write(writable, b"x")
sys.stdin.read()
'''
argv = [sys.executable, "-c", forking, HOLDER.format(mib=1)]
root = subprocess.Popen(argv, stdin=-1, stdout=-1, text=True)
child = int(root.stdout.readline())
meter = ProcMeter(root.pid)
meter.sample(0.0)
assert psutil.Process(child).memory_info().rss > 90 << 20
root.stdin.write("\\n")
root.stdin.flush()
assert root.stdout.readline() == "held\\n"
for number in range(2 * SAMPLES_PER_SEARCH):
    meter.sample(number / 100)
root.stdin.close()
print(json.dumps([meter.peak_bytes, meter.peak_source]))
""")
    peak_bytes, source = to_dict
    assert source == sampling.TREE
    assert 100 * MIB < peak_bytes < 160 * MIB


@pytest.mark.parametrize("samples", [1, 64, 65, 1000, 123_457])
def test_a_curve_is_thin_and_keeps_its_peak(samples: int) -> None:
    curve, spike = Curve(), samples * 2 // 3
    for number in range(samples):
        curve.add(number / 100, 1_000_000 if number == spike else number % 1000)
    to_dict = curve.to_dict()
    assert to_dict is not None
    assert min(samples, sampling.MAX_POINTS // 2) <= len(to_dict["bytes"]) <= sampling.MAX_POINTS
    assert max(to_dict["bytes"]) == 1_000_000
    assert to_dict["at_s"][to_dict["bytes"].index(1_000_000)] == round(spike / 100, 3)
    assert to_dict["at_s"] == sorted(set(to_dict["at_s"]))


def test_a_curve_of_nothing_is_none() -> None:
    assert Curve().to_dict() is None


@needs_proc
@pytest.mark.parametrize("looks", [True, False])
def test_what_the_servers_processes_share_counts_once(
    monkeypatch: pytest.MonkeyPatch, *, looks: bool
) -> None:
    """The first process has touched 48 MiB of it, its child 64 MiB, both together 96 MiB."""
    if not looks:
        monkeypatch.setattr(sampling, "_shared_segment", lambda _: None)
    code = f"""
import mmap, os, sys
shared = mmap.mmap(-1, {96 * MIB})
print("mapped", flush=True)
sys.stdin.readline()
for place in range(0, {48 * MIB}, {mmap.PAGESIZE}): shared[place] = 1
child = os.fork()
if child == 0:
    for place in range({32 * MIB}, {96 * MIB}, {mmap.PAGESIZE}): shared[place] = 1
    private = b"x" * {40 * MIB}
    print("held", flush=True)
sys.stdin.readline()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as it:
        assert it.stdout is not None
        assert it.stdin is not None
        assert it.stdout.readline() == "mapped\n"
        if looks and sampling._shared_segment(it.pid) is None:
            it.communicate("\n\n\n")
            pytest.skip("only root may look at what is mapped")
        meter = ServerMeter(it.pid)
        meter.sample(0.0)
        before_bytes = meter.peak_bytes
        it.stdin.write("\n")
        it.stdin.flush()
        assert it.stdout.readline() == "held\n"
        own_bytes = anonymous_bytes(psutil.Process(it.pid).children()[0])
        # A new process counts once its sharing was read, which may wait a moment.
        assert comes_true(lambda: counts(meter, 2))
        it.communicate("\n\n")
    more_bytes = meter.peak_bytes - before_bytes
    assert own_bytes > 40 * MIB
    # Some MB of its own are still its parent's, which counted already.
    assert 92 * MIB < more_bytes - own_bytes < 97 * MIB
    assert ("as far as" in meter.peak_source) is not looks


def counts(meter: ServerMeter, processes: int) -> bool:
    meter.sample(0.1)
    return len(meter._group._counted) == processes


def anonymous_bytes(of: psutil.Process) -> int:
    """Return what a process has in memory that is of no file and not shared."""
    return status(of.pid, "RssAnon") * 1024


def test_what_a_session_of_a_real_server_takes_is_seen(server: RunningServer) -> None:
    if server.pid is None:
        pytest.skip("the processes of this server are not known")
    meter, cpu = ServerMeter(server.pid), server_cpu(server.pid)
    assert cpu is not None
    cpu.sample(0)
    before_bytes, peak_bytes = peaks_around_a_sort(server, meter)
    cpu.sample(1)
    used = cpu.curve.to_dict("cpu_ms")
    assert used is not None
    assert used["at_s"] == [0, 1]
    assert used["cpu_ms"][0] == 0
    assert used["cpu_ms"][1] >= 50  # a large sort
    assert before_bytes > 10 * MIB
    assert peak_bytes - before_bytes > 100 * MIB


@needs_proc
def test_the_processor_time_of_what_ends_while_it_is_read_is_not_lost() -> None:
    busy = "import time; input()\nwhile time.process_time() < 0.3: pass\nprint(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", busy], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None

        def processes() -> Iterator[int]:
            yield os.getpid()
            if child.returncode is None:
                if meter.curve.to_dict() is not None:
                    child.communicate("\n")
                yield child.pid

        meter = CpuMeter(processes)
        meter.sample(0)
        child.stdin.write("\n")
        child.stdin.flush()
        child.stdout.readline()
        meter.sample(1)
    used = meter.curve.to_dict("cpu_ms")
    assert used is not None
    assert used["cpu_ms"][1] >= 250


def test_a_trial_tells_of_the_servers_memory_or_why_not(
    small_engine: Callable[..., Engine], context_of: Callable[..., TrialContext], dataset: Path
) -> None:
    context = context_of(dataset)
    blank = Trial(
        engine="small", round=1, warmup=False, status=Status.SKIPPED, started_at=trial.now()
    )
    engine = small_engine()
    made = trial.record(blank, engine, context.manifest, trial.attempt(engine, context))
    assert made.status is Status.OK, made.detail
    assert made.curve is not None
    assert made.peak_bytes == max(made.curve.bytes)
    assert made.wall_s is not None
    assert 0 <= made.curve.at_s[0] <= made.curve.at_s[-1] <= made.wall_s + 0.001
    if context.server.record.kind == "external":
        assert made.server_peak_bytes is None
        assert made.server_peak_source == "unknown: a server of yours"
        assert made.server_curve is None
        assert made.server_cpu_curve is None
    else:
        assert made.server_cpu_curve is not None
        assert list(made.server_cpu_curve.cpu_ms) == sorted(made.server_cpu_curve.cpu_ms)
        assert made.server_peak_bytes is not None
        assert made.server_curve is not None
        assert made.server_peak_bytes == max(made.server_curve.bytes) > 10 * MIB
        assert made.total_peak_bytes is not None
        assert (
            max(made.peak_bytes, made.server_peak_bytes)
            < made.total_peak_bytes
            <= made.peak_bytes + made.server_peak_bytes
        )


VERSION_2 = "anon {0}\nfile 900\nkernel 50\nshmem {1}\nfile_mapped 30\nanon_thp 0\n"
VERSION_1 = (
    "cache 900\nrss 1\nshmem 2\nmapped_file 3\ntotal_cache 900\ntotal_rss {0}\n"
    "total_shmem {1}\ntotal_mapped_file 30\n"
)


@pytest.mark.parametrize("form", [VERSION_2, VERSION_1])
def test_a_control_group_is_read_in_both_versions(tmp_path: Path, form: str) -> None:
    stat = tmp_path / "memory.stat"
    stat.write_text(form.format(100, 20))
    meter = CgroupMeter(str(tmp_path))
    for at_s, anonymous in enumerate((100, 300, 200)):
        stat.write_text(form.format(anonymous, 20))
        meter.sample(at_s)
    # Mapped pages, of 30 bytes, include those of shared memory, of 20.
    assert meter.peak_bytes == 330
    assert meter.curve.to_dict() == {"at_s": [0, 1, 2], "bytes": [130, 330, 230]}


def test_the_control_group_of_this_process_holds_what_it_holds() -> None:
    folder, why = folder_of(os.getpid())
    if folder is None:
        pytest.skip(f"this process is in no group that tells: {why}")
    meter = CgroupMeter(folder)
    held = bytearray(b"x" * (60 * MIB))
    meter.sample(0.0)
    assert meter.peak_bytes > len(held)


@pytest.mark.parametrize(
    ("lines", "folder"),
    [
        ("0::/system.slice/docker-abc123.scope\n", "system.slice/docker-abc123.scope"),
        ("5:cpu:/docker/abc123\n4:memory:/docker/abc123\n0::/\n", "memory/docker/abc123"),
        ("4:cpu,memory:/docker/abc123\n", "memory/docker/abc123"),
    ],
)
def test_a_containers_control_group_is_found(tmp_path: Path, lines: str, folder: str) -> None:
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "77").mkdir()
    (proc / "77" / "cgroup").write_text(lines)
    assert folder_of(77, "abc123", proc=proc, cgroups=cgroups) == (
        None,
        "unknown: the container's cgroup cannot be read from here",
    )
    (cgroups / folder).mkdir(parents=True)
    (cgroups / folder / "memory.stat").write_text("anon 1\n")
    assert folder_of(77, "abc123", proc=proc, cgroups=cgroups) == (str(cgroups / folder), None)
    # A process of that id that is not the container's: it runs in a machine of its own.
    assert folder_of(77, "def456", proc=proc, cgroups=cgroups)[0] is None
    assert folder_of(78, "abc123", proc=proc, cgroups=cgroups) == (
        None,
        "unknown: the container's processes are not visible from here",
    )


def test_where_there_is_no_proc_nothing_is_known(tmp_path: Path) -> None:
    assert folder_of(1, proc=tmp_path) == (None, "unknown: this system has no /proc")
