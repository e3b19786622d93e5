"""Datasets whose records the workers of a Dask cluster make."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from harness.generate.cluster import scheduler_address
from harness.generate.dataset import generate
from harness.generate.spec import DatasetSpec
from harness.model.errors import HarnessError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Several blocks of some tables.
SPEC = DatasetSpec(rows=20_000, faults="realistic", compress="gz")


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a cluster of two worker processes."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        local_directory=str(tmp_path_factory.mktemp("dask")),
    ) as started:
        yield started.scheduler_address.replace("tcp://", "dask://")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_a_cluster_makes_the_bytes_of_one_process(cluster: str, tmp_path: Path) -> None:
    made = contents(generate(SPEC, tmp_path / "cluster", executor=cluster))
    assert made == contents(generate(SPEC, tmp_path / "process", processes=1))
    assert len(made) > 5


@pytest.mark.slow
def test_another_generator_makes_nothing(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.generate.cluster.fingerprint", lambda *_: "another")
    with pytest.raises(HarnessError, match="it has another version of restorebench"):
        generate(SPEC, tmp_path, executor=cluster)
    assert not list(tmp_path.iterdir())


def test_no_scheduler(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(HarnessError, match=r"does not answer: .*; start it with `dask scheduler`"):
        generate(SPEC, tmp_path, executor="dask://127.0.0.1:1")


def test_dask_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'restorebench\[dask\]'"):
        generate(SPEC, tmp_path, executor="dask://127.0.0.1:1")


@pytest.mark.parametrize("executor", ["dask", "tcp://127.0.0.1:1", "dask://127.0.0.1", "dask://"])
def test_an_address_that_is_none(executor: str) -> None:
    with pytest.raises(InputError, match="write dask://HOST:PORT or tls://HOST:PORT"):
        scheduler_address(executor)
