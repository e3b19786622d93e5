"""Records made by hand: figures, reports and the history are tested without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.model.record import Dataset, Environment, Run, Server, Status, TableResult, Trial

if TYPE_CHECKING:
    from collections.abc import Callable

STARTED = "2024-05-06T07:08:09Z"

DATASET = Dataset(
    scenario="business",
    rows=1000,
    seed=0,
    faults="none",
    style="lines",
    compress="none",
    generator="1",
    records=1000,
    json_bytes=450_000,
)
SERVER = Server(
    kind="embedded", reason="asked for", version="18.1", settings={"max_wal_size": "16GB"}
)
ENVIRONMENT = Environment(
    cpu="Example CPU 3000",
    cores=2,
    memory_bytes=8_000_000_000,
    os="Linux 6.1",
    python="CPython 3.11.7",
    packages={"psycopg": "3.2.10", "msgspec": "0.19.0"},
    commit="0123456789abcdef0123456789abcdef01234567",
    dirty=False,
    source="checkout",
)
USERS = TableResult(table="users", expected=1000, found=1000, checksum_match=True)


@pytest.fixture
def make_trial() -> Callable[..., Trial]:
    """Return what builds a trial that is ok, but for what is said otherwise."""

    def build(engine: str, wall_s: float | None, **fields: object) -> Trial:
        usual = Trial(
            engine=engine,
            round=1,
            warmup=False,
            status=Status.OK,
            started_at=STARTED,
            wall_s=wall_s,
            peak_bytes=100_000_000,
            exit_code=0,
            tables=(USERS,),
        )
        return msgspec.structs.replace(usual, **fields)

    return build


@pytest.fixture
def make_run() -> Callable[..., Run]:
    """Return what builds a finished run of given trials, but for what is said otherwise."""

    def build(*trials: Trial, **fields: object) -> Run:
        usual = Run(
            id="aaaa0001",
            started_at=STARTED,
            finished_at="2024-05-06T07:09:09Z",
            parameters={"rounds": 3},
            dataset=DATASET,
            server=SERVER,
            environment=ENVIRONMENT,
            trials=trials,
        )
        return msgspec.structs.replace(usual, **fields)

    return build
