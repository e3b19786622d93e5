"""The blocks of the documents that are made of published runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.cli.docs import published_runs
from harness.history.store import History
from harness.model.errors import HarnessError
from harness.model.record import CpuCurve, Curve, Run, Status
from harness.report.published import blocks, pictures, with_blocks
from harness.tests.conftest import USERS

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

    def of(rows: int, *trials: Trial, faults: str = "none", traffic: bool = False) -> Run:
        run = make_run(
            *(replace(trial, user_s=(trial.wall_s or 0) / 2, system_s=0.0) for trial in trials)
        )
        return replace(
            run,
            id=f"a{rows}",
            dataset=replace(run.dataset, rows=rows, faults=faults),
            server=replace(run.server, profile="bulk"),
            parameters={"rounds": 3, "memory_limit_bytes": None, "traffic": traffic},
        )

    def curve(*sizes: int) -> Curve:
        return Curve(at_s=(0.5, 1.5), bytes=sizes)

    small = of(
        100_000,
        make_trial("legacy", 10.0, cpu_curve=CpuCurve(at_s=(5.0, 10.0), cpu_ms=(1000, 3000))),
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
    half = replace(USERS, expected=2 * USERS.expected, right=USERS.expected)
    damaged = of(
        100_000,
        make_trial("legacy", 1.0, status=Status.ERROR, tables=(half,)),
        make_trial("restore", 3.0, tables=(replace(half, right=half.expected),)),
        faults="realistic",
    )
    counted = make_trial(
        *("restore", 4.0), sent_curve=curve(1, 9_000_000), received_curve=curve(1, 1_000_000)
    )
    return small, large, damaged, of(100_000, counted, traffic=True)


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")][2:]


def test_claims_stand_beside_what_was_measured(matrix: tuple[Run, ...]) -> None:
    made = lines(blocks(matrix)["claims"])
    assert made == [
        "| 100k | time | 3 min | 10.0 s | - | 1 min | 30.0 s | 2.00 s |",
        "| 100k | peak memory | 1.2-2 GB | 100 MB | - | 50-100 MB | 100 MB | 50.0 MB |",
        "| 100k | processor | spiky | 50% ▅▅▅▅▅▅▅▅████████ | - | steady, 50-70% | 50% | 50% |",
        "| 100k | traffic | - | - | - | - | - | 9.00 MB / 1.00 MB |",
        "| 100k | rows right under damage | - | 50.00% | - | 99.9% | - | 100% |",
        "| 10M | time | out of memory | oom after 9.00 s | - | 50 min | - | 200 s |",
        "| 10M | peak memory | 1.2-2 GB | 100 MB \\* | - | 50-100 MB | - | 51.0 MB |",
        "| 10M | processor | spiky | 50% | - | steady, 50-70% | - | 50% |",
    ]


def test_advice_is_of_engines_that_read_json_and_are_no_steps(matrix: tuple[Run, ...]) -> None:
    small, large = lines(blocks(matrix)["advice"])
    assert small == "| 100k | restore | 2.00 s | restore | 50.0 MB | prisma-batches-250 |"
    assert large == "| 10M | restore | 200 s | restore | 51.0 MB | - |"


def test_the_readme_has_some_engines_and_the_docs_all(matrix: tuple[Run, ...]) -> None:
    made = blocks(matrix)
    assert [line.split("|")[1].strip() for line in lines(made["results"])] == [
        *("restore", "prisma-batches", "legacy"),
    ]
    assert len(lines(made["matrix"])) == 6 + 2 * 2
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
    for day, run in zip(("2024-01-01", "2024-02-01"), matrix[:2], strict=True):
        History(tmp_path / day).write(run)
    assert [run.id for run in published_runs(tmp_path)] == [matrix[1].id]
    (tmp_path / "2024-02-01" / "x.json").write_text("{}")
    with pytest.raises(HarnessError, match="skipped"):
        published_runs(tmp_path)


def test_each_run_is_a_table_with_the_spread_of_its_ratios(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    rounds = ((1, 2.0, 10.0), (2, 3.0, 12.0))
    trials = [
        trial
        for number, own_s, legacy_s in rounds
        for trial in (
            make_trial("restore", own_s, round=number),
            make_trial("legacy", legacy_s, round=number),
            make_trial("prisma", 30.0, round=number, status=Status.TIMEOUT),
            make_trial("django", None, round=number, status=Status.SKIPPED),
        )
    ]
    run = make_run(*trials)
    made = blocks([replace(run, server=replace(run.server, profile="bulk"))])["runs"]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines(made)]
    assert [row[:4] for row in cells] == [
        ["restore", "2/2", "2.50 s (2.00-3.00)", "-"],
        ["legacy", "2/2", "11.0 s (10.0-12.0)", "4.5x (4.0-5.0)"],
        ["prisma", "0/2", "> 30.0 s", "-"],
    ]
    assert [row[-1] for row in cells] == ["-", "-", "timeout"]


def test_each_peer_says_how_it_is_set_up_and_what_was_measured(matrix: tuple[Run, ...]) -> None:
    text = blocks(matrix)["peers"]
    section = text.partition("## pg_restore\n")[2].partition("\n## ")[0]
    assert "- `pg_restore-tuned`: --jobs connections" in section
    assert "| memory at 100k rows | `pg_restore`: 3.00 MB | run a100000 |" in section


def test_the_picture_has_two_bars_an_engine_and_says_how_others_failed(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    run = make_run(
        make_trial("restore", 2.0, peak_bytes=50_000_000),
        make_trial("legacy", 8.0, peak_bytes=200_000_000),
        make_trial("prisma-batches", 20.0, status=Status.TIMEOUT),
    )
    made = pictures([replace(run, server=replace(run.server, profile="bulk"))])
    assert made.keys() == {"results-light.svg", "results-dark.svg"}
    picture = made["results-light.svg"]
    widths = [float(width) for width in re.findall(r'<rect .*?width="([\d.]+)"', picture)]
    assert len(widths) == 4
    assert widths[0] == pytest.approx(widths[2] / 4, rel=0.01)
    assert widths[1] == pytest.approx(widths[3] / 4, rel=0.01)
    assert "timeout after 20.0 s" in picture
    assert picture.index("restore<") < picture.index("legacy<") < picture.index("prisma-batches<")
