"""The blocks of the documents that are made of published runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.cli.docs import published_runs
from harness.history.store import History
from harness.model.errors import HarnessError
from harness.model.record import Run, Status
from harness.report.published import blocks, with_blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.model.record import Trial

    MakeTrial = Callable[..., Trial]
    MakeRun = Callable[..., Run]

replace = msgspec.structs.replace


@pytest.fixture
def matrix(make_run: MakeRun, make_trial: MakeTrial) -> tuple[Run, ...]:
    """Return two sizes; at the larger one, the naive engines fail."""

    def of(rows: int, *trials: Trial) -> Run:
        run = make_run(*trials)
        return replace(
            run,
            id=f"a{rows}",
            dataset=replace(run.dataset, rows=rows),
            server=replace(run.server, profile="bulk"),
            parameters={"rounds": 3, "memory_limit_bytes": None},
        )

    small = of(
        100_000,
        make_trial("legacy", 10.0),
        make_trial("restore", 2.0, peak_bytes=50_000_000),
        make_trial("pg_restore", 1.0, peak_bytes=3_000_000),
        make_trial("prisma-batches", 30.0),
        make_trial("prisma-batches-250", 20.0),
        make_trial("step-copy-text", 1.5, peak_bytes=60_000_000),
    )
    large = of(
        10_000_000,
        make_trial("legacy", 9.0, status=Status.OOM),
        make_trial("restore", 200.0, peak_bytes=51_000_000),
    )
    return small, large


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")][2:]


def test_claims_stand_beside_what_was_measured(matrix: tuple[Run, ...]) -> None:
    small, large = lines(blocks(matrix)["claims"])
    assert small == (
        "| 100k | 3 min | 10.0 s (100 MB) | - | 1 min | 30.0 s (100 MB) | 2.00 s (50.0 MB) |"
    )
    assert large == "| 10M | out of memory | oom | - | 50 min | - | 200 s (51.0 MB) |"


def test_advice_is_of_engines_that_read_json(matrix: tuple[Run, ...]) -> None:
    small, large = lines(blocks(matrix)["advice"])
    assert small == "| 100k | step-copy-text | 1.50 s | restore | 50.0 MB | prisma-batches-250 |"
    assert large == "| 10M | restore | 200 s | restore | 51.0 MB | - |"


def test_the_readme_has_some_engines_and_the_docs_all(matrix: tuple[Run, ...]) -> None:
    made = blocks(matrix)
    assert [line.split("|")[1].strip() for line in lines(made["results"])] == [
        *("restore", "prisma-batches", "legacy"),
    ]
    assert len(lines(made["matrix"])) == 6
    assert "| restore | 2.00 s (50.0 MB) | 200 s (51.0 MB) | 1.00 |" in made["results"]


def test_a_matrix_without_what_is_quoted_is_refused(matrix: tuple[Run, ...]) -> None:
    stock = [replace(run, server=replace(run.server, profile="stock")) for run in matrix]
    with pytest.raises(HarnessError, match="no run of profile bulk"):
        blocks(stock)


def test_a_block_is_replaced_and_the_rest_stays() -> None:
    other = "b <!-- other:start -->c<!-- other:end -->"
    text = f"a\n<!-- claims:start -->\nold\n<!-- claims:end -->\n{other}"
    new = with_blocks(text, {"claims": "new\n", "advice": "x"})
    assert new == text.replace("old", "new")
    assert with_blocks(new, {"claims": "new"}) == new


def test_the_newest_folder_is_published(tmp_path: Path, matrix: tuple[Run, ...]) -> None:
    with pytest.raises(HarnessError, match="no published matrix"):
        published_runs(tmp_path)
    for day, run in zip(("2024-01-01", "2024-02-01"), matrix, strict=True):
        History(tmp_path / day).write(run)
    assert [run.id for run in published_runs(tmp_path)] == [matrix[1].id]
    (tmp_path / "2024-02-01" / "x.json").write_text("{}")
    with pytest.raises(HarnessError, match="skipped"):
        published_runs(tmp_path)
