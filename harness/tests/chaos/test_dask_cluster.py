"""The Dask cluster of a campaign, as real processes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil
import pytest

from harness.chaos.dask_cluster import DaskCluster
from harness.tests.processes import ends_soon

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("distributed")


@pytest.mark.slow
def test_a_cluster_listens_on_loopback_alone_and_ends(tmp_path: Path) -> None:
    cluster = DaskCluster(tmp_path, os.environ, workers=2, check=lambda: None)
    with cluster.serving():
        workers = cluster.worker_pids()
        started = [own for own in psutil.Process().children(recursive=True) if own.is_running()]
        places = {
            place.laddr.ip
            for own in started
            for place in own.net_connections("tcp")
            if place.status == psutil.CONN_LISTEN
        }
    assert len(workers) == 2
    assert places == {"127.0.0.1"}
    assert all(ends_soon(pid) for pid in workers)
