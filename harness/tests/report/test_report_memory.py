"""Memory over time as it is drawn, from records that are made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.analysis.figures import figures
from harness.model.record import Curve, Run, Status, Trial
from harness.report.blocks import to_markdown, to_terminal
from harness.report.memory import memory_report, sparkline
from harness.report.run import bench_report

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeRun = Callable[..., Run]
    MakeTrial = Callable[..., Trial]

RISING = Curve(at_s=(0.0, 1.0, 2.0, 3.0), bytes=(10, 20, 40, 80))


@pytest.mark.parametrize(
    ("curve", "width", "drawn"),
    [
        (RISING, 4, "▂▃▅█"),
        (RISING, 8, "▂▂▃▃▅▅██"),  # what is between two points holds what the first did
        (RISING, 2, "▃█"),  # each place is the highest of its stretch
        (Curve(at_s=(2.0,), bytes=(5,)), 4, "▁▁██"),
        (Curve(at_s=(4.2,), bytes=(5,)), 4, "▁▁▁█"),  # a sample after the end, by a little
        (Curve(at_s=(0.0,), bytes=(0,)), 2, "▁▁"),
    ],
)
def test_a_curve_is_drawn(curve: Curve, width: int, drawn: str) -> None:
    assert sparkline(zip(curve.at_s, curve.bytes, strict=True), 4.0, width) == drawn


def test_the_median_trial_is_drawn(make_run: MakeRun, make_trial: MakeTrial) -> None:
    run = make_run(
        *(
            make_trial("restore", wall_s, round=number)
            for number, wall_s in enumerate((3, 1, 2), 1)
        ),
        make_trial("restore", 1.5, round=4, warmup=True),
        make_trial("restore", 1.6, round=5, status=Status.ERROR),
        make_trial("restore", 2.5, round=6),
    )
    found = figures(run).samples("restore").median
    assert found is not None
    assert found.round == 3


def test_a_run_draws_memory_beside_the_servers(make_run: MakeRun, make_trial: MakeTrial) -> None:
    curve = Curve(at_s=(0.0, 1.0), bytes=(50_000_000, 100_000_000))
    server = Curve(at_s=(0.0, 1.0), bytes=(200_000_000, 150_000_000))
    run = make_run(
        *(
            make_trial(
                "restore",
                2.0,
                curve=curve,
                server_peak_bytes=peak,
                server_curve=server,
                total_peak_bytes=peak + 90_000_000,
            )
            for peak in (200_000_000, 220_000_000, 210_000_000)
        ),
        make_trial("floor", 1.0, curve=curve, server_peak_source="unknown: a server of yours"),
        make_trial("legacy", 9.0),
    )
    drawn = to_terminal(bench_report(figures(run)))
    lines = drawn.splitlines()
    restore = next(number for number, line in enumerate(lines) if "▅▅▅" in line)
    name, own, size, unit, total, _, beside = lines[restore].split()
    assert (name, own, f"{size} {unit}") == ("restore", "▅" * 8 + "█" * 8, "210 MB")
    assert (total, beside) == ("300", "█" * 8 + "▇" * 8)
    assert "100 MB at 1.00 s" in lines[restore + 1]
    assert "200-220" in lines[restore + 1]
    assert "290-310" in lines[restore + 1]
    assert "200 MB at 0 s" in lines[restore + 1]
    assert not any(line.startswith("legacy   ▁") for line in lines)
    assert max(map(len, lines)) <= 80
    assert "| ref. COPY | ▅▅▅" in to_markdown(memory_report(figures(run)))


def test_a_run_without_curves_draws_nothing(make_run: MakeRun, make_trial: MakeTrial) -> None:
    assert memory_report(figures(make_run(make_trial("restore", 1.0)))) == ()
