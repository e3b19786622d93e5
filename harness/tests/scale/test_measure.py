"""Costs measured on a real server: small, so that only their order of magnitude is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.errors import HarnessError
from harness.scale.costs import load
from harness.scale.measure import MeasureOptions, measure
from harness.scale.statements import ServerClock
from harness.tests.docs.pages import CHECKOUT

ROWS = 10_000


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="needs Linux")
def test_costs_are_those_of_each_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    said: list[str] = []
    costs = measure(MeasureOptions(rows=ROWS, jobs=2, cache=tmp_path), said.append)
    assert said[0].startswith("PostgreSQL")
    assert costs.sizes == (ROWS // 10, ROWS)
    stored = load()
    assert [table.table for table in costs.tables] == [table.table for table in stored.tables]
    for table, known in zip(costs.tables, stored.tables, strict=True):
        assert table.share == pytest.approx(known.share, rel=0.1)
        assert table.json_bytes == pytest.approx(known.json_bytes, rel=0.1)
        assert {index.name for index in table.indexes} == {index.name for index in known.indexes}
        assert len(table.foreign_keys) == len(known.foreign_keys)
        assert table.heap_bytes > 0.5 * known.heap_bytes
    # What a hundred rows take is less than what two COPYs differ by; all rows take more.
    assert costs.mean("heap_s") > 0
    assert costs.mean("wal_bytes") == pytest.approx(stored.mean("wal_bytes"), rel=0.5)
    assert costs.client_fixed_s > 0
    assert costs.machine.totals_cpu == costs.machine.cpu


def test_a_server_that_is_not_ours_has_no_clock() -> None:
    with pytest.raises(HarnessError, match="needs Linux, and an embedded server"):
        ServerClock(None)
