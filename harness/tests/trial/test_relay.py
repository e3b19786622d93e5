"""The relay between an engine and the server: nothing is lost in it, and all is counted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from harness.analysis.compare import same_machine
from harness.analysis.figures import figures
from harness.bench import run as bench
from harness.bench.options import BenchOptions
from harness.report.blocks import to_markdown
from harness.report.run import bench_report
from harness.trial.relay import counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.engines.engine import Engine
    from harness.servers import RunningServer

MIB = 1 << 20


def copied(dsn: str, rows: int) -> int:
    """Copy rows of a mebibyte into a table, and return the bytes that are there."""
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TEMPORARY TABLE sent (text text)")
        with connection.cursor().copy("COPY sent FROM STDIN") as copy:
            for _ in range(rows):
                copy.write_row(["x" * MIB])
        [found] = connection.execute("SELECT sum(length(text)) FROM sent").fetchone() or [0]
        return int(found)


def test_all_bytes_arrive_and_are_counted_by_direction(server: RunningServer) -> None:
    with server.database() as dsn, counted(dsn) as (through, traffic):
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda: found.append(copied(through, 5))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [5 * MIB] * 2
        sent, received = traffic.curve("sent"), traffic.curve("received")
    assert sent is not None
    assert received is not None
    assert 10 * MIB < max(sent.bytes) < 10.1 * MIB
    assert list(sent.bytes) == sorted(sent.bytes)
    assert 100 < max(received.bytes) < 20_000


def test_a_server_that_does_not_answer_ends_the_connection(tmp_path: Path) -> None:
    with (
        counted(f"postgresql://me@/none?host={tmp_path}") as (through, traffic),
        pytest.raises(psycopg.OperationalError),
    ):
        psycopg.connect(through, connect_timeout=5)
    assert traffic.curve("received") is None


def test_a_connection_that_stays_open_does_not_keep_the_relay(server: RunningServer) -> None:
    with server.database() as dsn:
        with counted(dsn) as (through, _):
            connection = psycopg.connect(through)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()


@pytest.mark.slow
def test_a_bench_counts_traffic(
    small_engine: Callable[..., Engine], dataset: Path, tmp_path: Path, server: RunningServer
) -> None:
    given: dict[str, Any] = {
        "engines": (small_engine(),),
        "dataset": dataset,
        "rounds": 1,
        "warmup": 0,
        "repeats": 0,
        "server": server.dsn("postgres"),
        "results": tmp_path,
    }
    run = bench.run_bench(BenchOptions(**given, traffic=True), announce=lambda _: None)
    assert "sent over time" in to_markdown(bench_report(figures(run)))
    [trial] = run.trials
    assert trial.sent_curve is not None
    assert trial.received_curve is not None
    assert max(trial.sent_curve.bytes) > 500
    plain = bench.run_bench(BenchOptions(**given), announce=lambda _: None)
    assert plain.trials[0].sent_curve is None
    assert not same_machine(plain, run)
