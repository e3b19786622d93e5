"""Costs made by hand: round numbers, so that times can be told without a simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from harness.scale.costs import ClientCosts, Costs, Index, Machine, Sorted, TableCosts
from harness.scale.work import Hardware, Load

if TYPE_CHECKING:
    from collections.abc import Callable

US = 1e-6
MACHINE = Machine(
    measured_at="2024-05-06T07:08:09+00:00",
    cpu="Example CPU 3000",
    cores=2,
    memory_bytes=8_000_000_000,
    postgresql="18.4",
    totals_cpu="Example CPU 3000",
    commit=None,
)


def sorted_cost(name: str, s: float, **more: Any) -> Sorted:
    plain: dict[str, Any] = {"log2_s": 0.0, "merge_s": 0.0, "bytes": 20.0}
    return Sorted(name=name, s=s, **plain | more)


def index_cost(name: str, s: float, *, unique: bool = False, **more: Any) -> Index:
    plain: dict[str, Any] = {"log2_s": 0.0, "merge_s": 0.0, "bytes": 20.0}
    return Index(name=name, s=s, unique=unique, **plain | more)


def table_cost(name: str, share: float, **more: Any) -> TableCosts:
    """Return a table without keys: 2 us of the server for a record, 400 bytes of JSON."""
    plain: dict[str, Any] = {
        "table": name,
        "share": share,
        "json_bytes": 400.0,
        "row_bytes": 300.0,
        "heap_bytes": 350.0,
        "wal_bytes": 350.0,
        "heap_s": 2 * US,
        "wal_s": 0.5 * US,
        "frozen_s": 2 * US,
        "analyze_s": 0.0,
        "indexes": (),
        "foreign_keys": (),
    }
    return TableCosts(**plain | more)


@pytest.fixture
def make_costs() -> Callable[..., Costs]:
    """Return what makes costs of these tables: 0.5 us of the client for a record."""

    def build(*tables: TableCosts, **fields: Any) -> Costs:
        usual = Costs(
            machine=MACHINE,
            scenario="business",
            sizes=(100_000, 1_000_000),
            client=ClientCosts(
                read_s=0.1 * US, decode_s=0.3 * US, send_s=0.1 * US, gz_s=1.0 * US, zst_s=0.4 * US
            ),
            client_fixed_s=0.0,
            server_fixed_s=0.0,
            server_factor=1.0,
            parallel=0.0,
            tables=tables or (table_cost("only", 1.0),),
        )
        return msgspec.structs.replace(usual, **fields)

    return build


@pytest.fixture
def make_hardware() -> Callable[..., Hardware]:
    """Return what makes hardware of which there is more than enough, but for what is said."""

    def build(**fields: Any) -> Hardware:
        plenty = {
            "server_cores": 1e6,
            "client_cores": 1e6,
            "machines": 1,
            "network_bytes_s": 1e15,
            "disk_bytes_s": 1e15,
            "memory_bytes": 1e15,
        }
        return Hardware(**plenty | fields)

    return build


@pytest.fixture
def make_load() -> Callable[..., Load]:
    """Return what makes a load of a million records by one connection, in enough memory."""

    def build(**fields: Any) -> Load:
        return Load(**{"rows": 1_000_000, "jobs": 1, "sort_bytes": 1e15} | fields)

    return build
