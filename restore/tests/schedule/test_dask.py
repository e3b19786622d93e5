"""A restore by two workers of Dask has the result of one by threads, whichever process dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from distributed import Client

from harness.chaos.dask_cluster import DaskCluster
from harness.engines.registry import environment
from harness.tests.processes import comes_true
from restore.errors import RestoreError
from restore.options import Options
from restore.schedule import cluster as clusters
from restore.schedule import queue
from restore.schedule import scheduler as loading
from restore.schedule.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.tests.support.target import Target

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dask")]

SCHEMA = """
    CREATE TABLE event (n int NOT NULL, kind text, flag int);
    CREATE FUNCTION hold() RETURNS bool LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock(77); RETURN true; END $$;
"""
COUNT = 6_000
PATIENCE_S = 180.0
SECRET = "Zebra-Quagga-7"
# Small files are worth connections, and many shards.
SCRIPT = """
import sys
from restore.schedule import dask_executor, queue
from restore.schedule import scheduler as loading
dask_executor._NO_WORKERS_S = 5.0
loading._WORTH_BYTES = queue._WORTH_A_CONNECTION_BYTES = queue._SMALLEST_SHARD_BYTES = 20_000
from restore.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
WAITING = """
    SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE datname = current_database() AND NOT granted AND objid = 77
"""
BUSY = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'restore' AND datname = current_database() AND state <> 'idle'
"""
SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'restore' AND datname = current_database()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, server: Any) -> Iterator[DaskCluster]:
    """A scheduler and two workers, processes of their own."""
    folder = tmp_path_factory.mktemp("dask")
    made = DaskCluster(folder, environment(server.env), 2, check=lambda: None)
    with made.serving():
        yield made


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_WORTH_BYTES", 20_000)
    for name in ("_WORTH_A_CONNECTION_BYTES", "_SMALLEST_SHARD_BYTES"):
        monkeypatch.setattr(queue, name, 20_000)


def write(target: Target) -> None:
    target.conn.execute(SCHEMA)
    records: list[dict[str, Any]] = [{"n": n, "kind": "k" * 40} for n in range(COUNT)]
    for record in records[50::101]:
        record["n"] = None
    for record in records[60::103]:
        record["flag"] = "no number"
    target.write(event=records)


def outcome(target: Target) -> Any:
    rows = target.rows("SELECT event::text FROM event ORDER BY 1")
    files = sorted(target.rejects.iterdir())
    rejects = {path.name: sorted(path.read_bytes().splitlines()) for path in files}
    for path in files:
        path.unlink()
    return rows, rejects


def start_and_wait(target: Target, executor: str) -> tuple[Any, subprocess.Popen[str]]:
    """Start a restore of which two workers wait in mid-load; return what it has to come to."""
    write(target)
    assert target.load(jobs=2).error is None
    expected = outcome(target)
    target.conn.execute("ALTER TABLE event ADD CHECK (n NOT IN (5900, 2900, 60) OR hold())")
    target.conn.execute("SELECT pg_advisory_lock(77)")
    words = [sys.executable, "-c", SCRIPT, str(target.backup), "--dsn", target.dsn, "--jobs", "2"]
    words += ["--rejects", str(target.rejects), "--clean", "--executor", executor]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, process_group=0)
    if not comes_true(lambda: len(target.rows(WAITING)) >= 2, PATIENCE_S):
        process.kill()
        raise AssertionError(process.communicate())
    return expected, process


def ended(process: subprocess.Popen[str], exit_code: int) -> str:
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == exit_code, said
    assert "Traceback" not in said
    return said


def resume(target: Target, executor: str) -> Any:
    target.conn.execute("SELECT pg_advisory_unlock(77)")
    target.restore("--resume", "--executor", executor, "--jobs", "2", exit_code=3)
    return outcome(target)


def test_the_result_is_that_of_threads(target: Target, cluster: DaskCluster) -> None:
    write(target)
    whole = target.load(jobs=2)
    expected = outcome(target)

    report = target.load(clean=True, executor=cluster.executor)

    assert outcome(target) == expected
    [one], [other] = whole.tables, report.tables
    assert (one.read, one.loaded, one.rejected) == (other.read, other.loaded, other.rejected)
    assert one.reasons == other.reasons
    assert comes_true(lambda: target.rows(SESSIONS) == [(0,)], PATIENCE_S)


def test_workers_that_a_restore_starts_end_with_it(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)  # what was found before
    expected, process = start_and_wait(target, "dask")
    started = psutil.Process(process.pid).children(recursive=True)

    process.kill()
    process.communicate()

    assert comes_true(lambda: not any(_runs(each) for each in started), PATIENCE_S)
    left = set(temporary.iterdir())
    assert any((each / "dask-scratch-space").is_dir() for each in left)  # of the killed one
    assert not (temporary / "dask-scratch-space").exists()
    path = list(sys.path)
    assert resume(target, "dask") == expected
    assert set(temporary.iterdir()) == left
    assert sys.path == path


def test_a_worker_that_is_killed(target: Target, cluster: DaskCluster) -> None:
    expected, process = start_and_wait(target, cluster.executor)
    os.kill(cluster.worker_pids()[0], signal.SIGKILL)
    target.conn.execute("SELECT pg_advisory_unlock(77)")

    ended(process, 3)

    assert outcome(target) == expected


def test_workers_that_die_again_and_again(target: Target, cluster: DaskCluster) -> None:
    expected, process = start_and_wait(target, cluster.executor)

    seen: set[Any] = set()

    def kill_all() -> bool:
        waiting = set(target.rows(WAITING))
        if waiting - seen:  # workers have begun a shard
            for pid in cluster.worker_pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        seen.update(waiting)
        return process.poll() is not None

    assert comes_true(kill_all, PATIENCE_S)

    assert "workers died again and again while they loaded event" in ended(process, 1)
    assert resume(target, cluster.executor) == expected


def test_a_cluster_that_loses_all_its_workers(target: Target, cluster: DaskCluster) -> None:
    expected, process = start_and_wait(target, cluster.executor)

    for nanny in cluster._processes[1:]:
        parent = psutil.Process(nanny.pid)
        for each in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()

    said = ended(process, 1)
    assert "has had no worker for 5 s: start workers, and continue with --resume" in said
    cluster.restart()
    assert resume(target, cluster.executor) == expected


def set_paused(workers: list[str], executor: str, *, is_paused: bool) -> None:
    """Pause workers, or have them go on, as Dask does by their memory."""

    def run(dask_worker: Any, *, is_paused: bool) -> None:
        from distributed import Status  # noqa: PLC0415 - sent to the worker

        dask_worker.memory_manager.memory_pause_fraction = not is_paused and 0.8
        dask_worker.status = Status.paused if is_paused else Status.running

    with Client(executor.replace("dask:", "tcp:"), set_as_default=False) as client:
        known = client.scheduler_info(n_workers=-1)["workers"]
        client.run(run, is_paused=is_paused, workers=workers or list(known))


def test_a_worker_that_is_paused_ends_its_shard(target: Target, cluster: DaskCluster) -> None:
    expected, process = start_and_wait(target, cluster.executor)
    set_paused([], cluster.executor, is_paused=True)
    target.conn.execute("SELECT pg_advisory_unlock(77)")
    # They have ended what they had begun, and begin nothing more.
    assert comes_true(lambda: target.rows(BUSY) == [(0,)], PATIENCE_S)
    set_paused([], cluster.executor, is_paused=False)

    ended(process, 3)

    assert outcome(target) == expected


def test_workers_that_are_all_paused(target: Target, cluster: DaskCluster) -> None:
    expected, process = start_and_wait(target, cluster.executor)
    set_paused([], cluster.executor, is_paused=True)

    said = ended(process, 1)

    assert "Dask has paused all workers for 5 s for lack of memory: give them more" in said
    set_paused([], cluster.executor, is_paused=False)
    assert resume(target, cluster.executor) == expected


def test_a_worker_that_does_not_answer(
    target: Target, cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(target)
    monkeypatch.setattr(clusters, "_ANSWER_S", 3.0)
    stopped = psutil.Process(cluster.worker_pids()[0])
    stopped.suspend()
    try:
        with pytest.raises(RestoreError, match="cannot load: it has not answered for 3 s; end it"):
            target.load(executor=cluster.executor)
    finally:
        stopped.resume()
    assert target.load(executor=cluster.executor).error is None


def test_a_restore_that_is_killed(target: Target, cluster: DaskCluster) -> None:
    expected, process = start_and_wait(target, cluster.executor)

    process.kill()
    process.communicate()

    assert resume(target, cluster.executor) == expected


def test_a_restore_that_is_interrupted(target: Target, cluster: DaskCluster) -> None:
    expected, process = start_and_wait(target, cluster.executor)

    process.send_signal(signal.SIGINT)

    assert "--resume" in ended(process, 1)
    assert comes_true(lambda: target.rows(SESSIONS) == [(0,)], PATIENCE_S)
    assert resume(target, "threads") == expected


def test_a_scheduler_that_is_killed(target: Target, cluster: DaskCluster) -> None:
    expected, process = start_and_wait(target, cluster.executor)

    cluster.kill_scheduler()

    said = ended(process, 1)
    assert "the Dask scheduler is lost: start it again, and continue with --resume" in said
    cluster.restart()
    assert resume(target, cluster.executor) == expected


def test_limits_of_rejects_hold(target: Target, cluster: DaskCluster) -> None:
    write(target)
    said = target.restore("--executor", cluster.executor, "--max-rejects", "5", exit_code=1)
    assert "more than --max-rejects 5" in said
    said = target.restore(
        *("--clean", "--executor", cluster.executor, "--on-error", "stop"), exit_code=1
    )
    assert "stopped at the first reject, as --on-error stop asks" in said


def test_no_password_is_sent(
    target: Target, cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed.protocol import pickle  # noqa: PLC0415 - what Dask itself sends by

    write(target)
    sent: list[bytes] = []
    dumps: Any = pickle.dumps

    def recorded(*arguments: Any, **more: Any) -> bytes:
        sent.append(dumps(*arguments, **more))
        return sent[-1]

    monkeypatch.setattr(pickle, "dumps", recorded)
    for name in ("distributed.client", "distributed.protocol.serialize"):
        monkeypatch.setattr(sys.modules[name], "pickle", pickle, raising=False)
    separator = "&" if "?" in target.dsn else "?"
    target.dsn += f"{separator}password={SECRET}"
    report = target.load(executor=cluster.executor)
    assert report.error is None
    assert any(b"ShardWork" in each for each in sent)
    assert not any(SECRET.encode() in each for each in sent)
    logs = [path.read_text(errors="replace") for path in cluster.folder.glob("*.log")]
    assert logs
    assert not any(SECRET in log for log in logs)


def test_a_worker_that_dies_while_it_is_asked(
    target: Target, cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(target)
    doomed = str(cluster.folder / "one-has-died")

    def killed(*_: Any) -> None:
        if not Path(doomed).exists():
            Path(doomed).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(clusters, "check_worker", killed)
    assert target.load(executor=cluster.executor).error is None
    assert Path(doomed).exists()


def test_a_worker_with_another_version_is_refused(
    target: Target, cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(target)
    monkeypatch.setattr(clusters, "version", lambda: "9.9.9")
    line = target.turned_down(executor=cluster.executor)
    assert "cannot load: it has restorebench" in line
    assert "and this is 9.9.9" in line


def test_a_worker_that_cannot_read_the_backup_is_named(
    target: Target, cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(target)
    elsewhere, check = target.backup.with_name("elsewhere"), Cluster.executor

    def moved(self: Cluster, *arguments: Any) -> Any:
        target.backup.rename(elsewhere)
        return check(self, *arguments)

    monkeypatch.setattr(Cluster, "executor", moved)
    line = target.turned_down(executor=cluster.executor)
    assert "cannot read" in line
    assert "workers read the backup themselves" in line


def test_tls(target: Target, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect with the certificates that Dask's settings name; without TLS, fail."""
    write(target)
    assert target.load(jobs=2).error is None
    expected = outcome(target)
    for name, value in certificates(tmp_path).items():
        monkeypatch.setenv(name, value)
    made = DaskCluster(tmp_path, environment(server.env), 2, lambda: None, scheme="tls")
    with made.serving():
        options = ("--clean", "--executor", made.executor)
        script = [sys.executable, "-m", "restore", str(target.backup), "--dsn", target.dsn]
        words = [*script, "--rejects", str(target.rejects), *options]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 3, done.stderr
        assert outcome(target) == expected
        plain = made.executor.replace("tls://", "dask://")
        assert "does not answer" in target.restore("--clean", "--executor", plain, exit_code=1)


def certificates(folder: Path) -> dict[str, str]:
    """Write certificates; return the variables by which Dask finds them."""
    from distributed.security import Security  # noqa: PLC0415 - the base install has no Dask

    made: Any = Security.temporary()
    prefix = "DASK_DISTRIBUTED__COMM__"
    names = {f"{prefix}REQUIRE_ENCRYPTION": "True", f"{prefix}DEFAULT_SCHEME": "tls"}
    texts = {"CA_FILE": made.tls_ca_file}
    for role in ("scheduler", "worker", "client"):
        texts[f"{role.upper()}__CERT"] = getattr(made, f"tls_{role}_cert")
        texts[f"{role.upper()}__KEY"] = getattr(made, f"tls_{role}_key")
    for name, text in texts.items():
        (folder / f"{name}.pem").write_text(text, encoding="utf-8")
        names[f"{prefix}TLS__{name}"] = str(folder / f"{name}.pem")
    return names


def test_no_scheduler(target: Target) -> None:
    write(target)
    line = target.turned_down(executor="dask://127.0.0.1:1")
    assert line.startswith("1: the Dask scheduler at tcp://127.0.0.1:1 does not answer")


def test_what_is_sent_names_no_secret() -> None:
    given = Options(backup="/b", dsn=f"postgresql://u:{SECRET}@h:1/d?sslpassword={SECRET}")  # type: ignore[arg-type] # a path as text
    assert SECRET not in clusters._without_secrets(None, given.dsn)  # type: ignore[arg-type] # not asked


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
