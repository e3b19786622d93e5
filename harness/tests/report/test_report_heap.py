"""Heaps as they are told, from records that are made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.figures import figures
from harness.model.record import Heap, HeapFunction, Run, Status, Trial
from harness.report.ablation import ablate_report
from harness.report.blocks import to_markdown, to_terminal
from harness.report.heap import heap_report
from harness.report.run import bench_report

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeRun = Callable[..., Run]
    MakeTrial = Callable[..., Trial]

RESTORE = Heap(
    engine="restore",
    status=Status.OK,
    processes=2,
    peak_bytes=40_000_000,
    allocations=12_345,
    functions=(
        HeapFunction(function="decode", file="restore/decode.py", line=61, bytes=20_000_000),
        HeapFunction(function="(outside of Python)", bytes=10_000_000),
        HeapFunction(function="little", file="restore/decode.py", line=7, bytes=399_999),
    ),
    flame_graph="20240506T070809Z-aaaa0001-restore.memray.html",
)
MINE = Heap(engine="mine", status=Status.SKIPPED, detail="its Python has no memray")
TOLD = """\
engine      heap  share  function                         file
──────────────────────────────────────────────────────────────────────────────
restore  40.0 MB         12,345 allocations, 2 processes
         20.0 MB    50%  decode                           restore/decode.py:61
         10.0 MB    25%  (outside of Python)              -

"""


def test_a_heap_is_told_with_the_functions_that_held_it(make_run: MakeRun) -> None:
    text = to_terminal(heap_report(make_run(heaps=(RESTORE, MINE))))
    assert text.startswith(TOLD)
    assert (
        "Flame graphs, beside the run's file:\n  20240506T070809Z-aaaa0001-restore.memray.html\n"
        in text
    )
    assert "Not ok with memray:\n  mine: skipped; its Python has no memray\n" in text


def test_a_heap_enters_no_other_figure(make_run: MakeRun, make_trial: MakeTrial) -> None:
    trials = (make_trial("restore", 1.0), make_trial("legacy", 2.0))
    without, with_heaps = (
        figures(make_run(*trials, heaps=heaps)) for heaps in ((), (RESTORE, MINE))
    )
    assert without.engines == with_heaps.engines
    told = to_markdown(heap_report(with_heaps.run))
    assert to_markdown(bench_report(with_heaps)).replace(f"{told}\n", "") == to_markdown(
        bench_report(without)
    )
    assert told in to_markdown(ablate_report(with_heaps))


def test_where_nothing_was_traced_only_that_is_told(make_run: MakeRun) -> None:
    assert heap_report(make_run()) == ()
    text = to_terminal(heap_report(make_run(heaps=(MINE,))))
    assert text == "Not ok with memray:\n  mine: skipped; its Python has no memray\n"
