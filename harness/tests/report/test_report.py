"""What is said of runs: every figure whole, at 80 columns, in plain text and in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from harness.analysis.compare import compare
from harness.analysis.figures import Success, figures
from harness.model.record import Run, Status, TableResult
from harness.report import units
from harness.report.blocks import Bullets, Column, Grid, to_markdown, to_terminal
from harness.report.compare import compare_report
from harness.report.run import bench_report, history_report
from harness.report.trend import trend_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.record import Trial
    from harness.report.blocks import Block

    MakeTrial = Callable[..., Trial]
    MakeRun = Callable[..., Run]

BENCH = """\
Run aaaa0001, 2024-05-06 07:08 UTC: 1,000 rows of business (0.450 MB of JSON,
faults none, seed 0) into PostgreSQL 18.1 (embedded, profile bulk), on 2 cores
of Example CPU 3000 with 8 GB of memory.

engine    ok       time  rows/s   peak RSS  success     vs legacy
─────────────────────────────────────────────────────────────────
legacy   1/3     12.3 s     163     512 MB   75.00%             -
restore  3/3     1.62 s   1,230    62.1 MB     100%   7.6x faster
              1.60-1.71          61.9-62.4           0.12x memory

Time and peak RSS: median of the trials that are ok, lowest-highest below. Peak
RSS is the kernel's high-water mark of one process, or the largest sampled
memory of several, in which a shared page counts once. Success: rows restored of
rows that can be restored, over all trials.

Not ok:
  legacy, round 2, 3: error; exit code 1: no such table; users has 250 of
    1,000 rows; posts has rows that differ

restore was 7.6x faster than legacy with 0.12x its peak memory, over 1 round;
descriptive: too few rounds.
"""

LOST = (
    TableResult(table="users", expected=1000, found=250, checksum_match=False),
    TableResult(table="posts", expected=1000, found=1000, checksum_match=False),
)
WHOLE = tuple(
    TableResult(table=name, expected=1000, found=1000, checksum_match=True)
    for name in ("users", "posts")
)
replace = msgspec.structs.replace


@pytest.fixture
def run(make_run: MakeRun, make_trial: MakeTrial) -> Run:
    failed = [
        make_trial(
            "legacy",
            3.0,
            round=number,
            status=Status.ERROR,
            detail="exit code 1: no such table",
            tables=LOST,
        )
        for number in (2, 3)
    ]
    samples = {1.62: 62.1, 1.60: 62.4, 1.71: 61.9}
    return make_run(
        make_trial("legacy", 12.3, peak_bytes=512_000_000, tables=WHOLE),
        *failed,
        *(
            make_trial("restore", wall_s, peak_bytes=int(peak * 1e6), tables=WHOLE)
            for wall_s, peak in samples.items()
        ),
    )


def bench(run: Run, **how: object) -> str:
    return to_terminal(bench_report(figures(run)), **how)  # type: ignore[arg-type] # as given


def widest(text: str) -> int:
    return max(len(line) for line in text.splitlines())


def squeezed(text: str) -> str:
    """Return the text with its spaces made one, for comparing what it says."""
    return " ".join(text.split())


def test_the_report_of_a_bench(run: Run) -> None:
    assert bench(run) == BENCH
    assert widest(bench(run)) <= 80


def test_columns_are_aligned(run: Run) -> None:
    lines = bench(run).splitlines()
    head, legacy, restore, spread = (lines[number] for number in (4, 6, 7, 8))
    for title, first, second in (
        ("time", "12.3 s", "1.62 s"),
        ("peak RSS", "512 MB", "62.1 MB"),
        ("success", "75.00%", "100%"),
    ):
        end = head.index(title) + len(title)
        assert legacy[:end].endswith(first)
        assert restore[:end].endswith(second)
    assert spread[: head.index("time") + 4].endswith("1.60-1.71")


def test_ten_million_rows_still_fit_80_columns(make_run: MakeRun, make_trial: MakeTrial) -> None:
    tables = (TableResult(table="t", expected=10**7, found=10**7, checksum_match=True),)
    run = make_run(
        *(make_trial("legacy", w, peak_bytes=20 * 10**9, tables=tables) for w in (1234, 1345)),
        *(make_trial("restore", w, peak_bytes=10**8, tables=tables) for w in (40.1, 41.2)),
        *(make_trial("floor", w, peak_bytes=10**8, tables=tables) for w in (30.1, 31.2)),
    )
    text = bench(run)
    assert widest(text) <= 80
    assert "success vs COPY      vs legacy\n" in text  # closer than usual
    for figure in ("1,290 s", "1,234-1,345", "20,000 MB", "246,000", "32x faster", "0.0050x"):
        assert figure in text


FLOOR = """\
engine      ok       time  rows/s   peak RSS  success  vs COPY      vs legacy
─────────────────────────────────────────────────────────────────────────────
legacy     1/3     12.3 s     163     512 MB   75.00%      15x              -
restore    3/3     1.62 s   1,230    62.1 MB     100%     2.0x    7.6x faster
                1.60-1.71          61.9-62.4                     0.12x memory
ref. COPY  1/1    0.810 s   2,470    40.0 MB     100%        -     15x faster
                                                                0.078x memory
"""


def with_floor(run: Run, make_trial: MakeTrial, **fields: object) -> Run:
    floor = make_trial("floor", 0.81, peak_bytes=40_000_000, tables=WHOLE, **fields)
    return replace(run, trials=(*run.trials, floor))


def test_beside_a_floor_each_engine_is_told_as_a_multiple_of_it(
    run: Run, make_trial: MakeTrial
) -> None:
    beside = with_floor(run, make_trial)
    assert FLOOR in bench(beside)
    assert "vs COPY: time relative to the reference COPY" in squeezed(bench(beside))
    assert "COPY was" not in bench(beside)
    assert "| vs COPY |" in to_markdown(bench_report(figures(beside)))


def test_the_references_start_up_is_told_apart(run: Run, make_trial: MakeTrial) -> None:
    assert "before its first COPY" not in bench(with_floor(run, make_trial))
    report = msgspec.Raw(b'{"engine": "floor", "start_up_s": 0.21}')
    told = squeezed(bench(with_floor(run, make_trial, report=report)))
    assert "0.210 s passed before its first COPY, and 0.600 s after (medians)." in told


def test_a_run_without_a_floor_says_nothing_of_it(run: Run) -> None:
    assert "COPY" not in bench(run)


def test_a_floor_that_failed_is_told_and_gives_no_figure(run: Run, make_trial: MakeTrial) -> None:
    text = bench(with_floor(run, make_trial, status=Status.WRONG_RESULT))
    assert "vs COPY" not in text
    assert "so none is relative to it" in squeezed(text)


def test_multiples_of_the_floor_are_listed_of_both_runs(run: Run, make_trial: MakeTrial) -> None:
    before = with_floor(run, make_trial)
    quicker = [
        replace(each, wall_s=(each.wall_s or 0) * (0.5 if each.engine == "restore" else 1))
        for each in before.trials
    ]
    after = replace(before, id="bbbb0002", trials=tuple(quicker))
    text = squeezed(to_terminal(compare_report(compare(before, after))))
    assert "vs COPY 2.0x 1.00x peak RSS" in text
    assert "vs COPY" not in to_terminal(compare_report(compare(run, replace(run, id="b"))))


@pytest.mark.parametrize("width", [1, 20, 40, 80, 200])
def test_no_figure_is_ever_cut(run: Run, width: int) -> None:
    wide = replace(
        run,
        trials=tuple(replace(each, engine=each.engine + "-of-a-peer" * 2) for each in run.trials),
    )
    every_report: tuple[tuple[Block, ...], ...] = (
        bench_report(figures(wide, reference="legacy" + "-of-a-peer" * 2)),
        history_report((figures(wide, None),)),
        compare_report(compare(wide, replace(wide, id="bbbb0002"))),
    )
    for blocks in every_report:
        text = to_terminal(blocks, width=width)
        assert "…" not in text
        assert "restore-of-a-peer-of-a-peer" in text
        assert "12.3 s" in text
        assert "1.62 s" in text


def test_only_a_terminal_gets_colours(run: Run) -> None:
    assert "\x1b[" not in bench(run)
    assert "\x1b[" in bench(run, color=True)


def test_what_an_engine_wrote_cannot_steer_the_terminal(run: Run) -> None:
    rude = replace(run.trials[1], detail="\x1b[2J[bold]gone[/bold]\r\nsecond line\x07")
    text = bench(replace(run, trials=(rude,)))
    assert "?[2J[bold]gone[/bold] second line?" in text
    assert "\x1b" not in text


def test_of_many_wrong_tables_the_first_are_named(run: Run) -> None:
    tables = tuple(replace(LOST[0], table=f"t{number}") for number in range(9))
    text = bench(replace(run, trials=(replace(run.trials[1], tables=tables),)))
    assert "t4 has 250" in squeezed(text)
    assert "t5" not in text
    assert "4 more tables" in squeezed(text)


def test_a_detail_that_names_the_tables_is_not_repeated(run: Run) -> None:
    detail = "users: 750 of 1,000 rows missing"
    wrong = replace(run.trials[1], status=Status.WRONG_RESULT, detail=detail)
    text = squeezed(bench(replace(run, trials=(wrong,))))
    assert f"wrong_result; {detail}" in text
    assert "users has" not in text


def test_wrong_rejects_are_named(run: Run) -> None:
    table = replace(WHOLE[0], rejects_match=False)
    wrong = replace(run.trials[0], status=Status.WRONG_RESULT, tables=(table,))
    text = squeezed(bench(replace(run, trials=(wrong,))))
    assert "users has rejects that differ from the ground truth" in text


def test_a_timeout_shows_as_a_bound(make_run: MakeRun, make_trial: MakeTrial) -> None:
    late = make_trial("legacy", 60.0, status=Status.TIMEOUT, tables=())
    text = bench(make_run(late, make_trial("restore", 2.0)))
    assert "> 60.0 s" in text
    assert "> 30x faster" in text
    assert "restore was more than 30x faster than legacy, which reached the time limit." in text


def test_a_speed_of_some_trials_says_how_few_they_are(
    make_run: MakeRun, make_trial: MakeTrial
) -> None:
    bad = make_trial("restore", 1.0, status=Status.WRONG_RESULT, tables=LOST)
    text = squeezed(bench(make_run(make_trial("legacy", 4.0), make_trial("restore", 2.0), bad)))
    assert "In the 1 of 2 trials that are ok, restore was 2.0x faster" in text


def test_without_a_reference_no_ratio_is_shown(make_run: MakeRun, make_trial: MakeTrial) -> None:
    text = bench(make_run(make_trial("restore", 2.0), make_trial("peer", 1.0)))
    assert "beside" not in text
    assert "faster" not in text


def test_a_run_that_was_cut_off_says_so(run: Run) -> None:
    for trials in (run.trials, ()):
        text = bench(replace(run, finished_at=None, trials=trials))
        assert "This run is unfinished" in squeezed(text)


def test_the_history_lists_a_run_and_its_losses(run: Run) -> None:
    dirty = replace(run, environment=replace(run.environment, dirty=True), finished_at=None)
    text = to_terminal(history_report((figures(dirty, None),), older=7))
    for part in (
        *("aaaa0001", "2024-05-06 07:08", "unfinished", "business", "1,000", "faults none"),
        *("embedded 18.1", "01234567+", "7 older runs not shown; --limit 8 lists all."),
        *("legacy  1/3  12.3 s 75.00%", "2 error", "restore 3/3  1.62 s   100%"),
    ):
        assert part in text
    assert widest(text) <= 80


def test_two_runs_of_one_kind_side_by_side(run: Run) -> None:
    slower = tuple(replace(trial, wall_s=(trial.wall_s or 0) * 2) for trial in run.trials)
    text = to_terminal(compare_report(compare(run, replace(run, id="bbbb0002", trials=slower))))
    assert "Before: Run aaaa0001" in text
    assert "After: Run bbbb0002" in text
    assert "1.62 s 3.24 s 2.0x slower" in squeezed(text)
    assert "about the same" in text
    assert widest(text) <= 80


def test_other_machines_are_said_and_their_times_not_compared(run: Run) -> None:
    elsewhere = replace(run, environment=replace(run.environment, cpu="Other CPU"))
    text = squeezed(to_terminal(compare_report(compare(run, elsewhere))))
    assert "machine: cpu Example CPU 3000 Other CPU" in text
    assert "times cannot be compared, not even relative to legacy" in text
    assert "vs legacy 7.6x faster 7.6x faster peak RSS" in text


def test_other_datasets_are_said_and_nothing_compared(run: Run) -> None:
    other = replace(run, dataset=replace(run.dataset, faults="realistic"), trials=run.trials[3:])
    text = squeezed(to_terminal(compare_report(compare(run, other))))
    assert "dataset: faults none realistic" in text
    assert "cannot be compared" in text
    assert "slower" not in text
    assert "better" not in text


def test_success_that_fell_is_said(run: Run) -> None:
    whole = tuple(replace(trial, status=Status.OK, tables=WHOLE) for trial in run.trials)
    mended = replace(run, trials=whole)
    assert "75.00% 100% better" in squeezed(to_terminal(compare_report(compare(run, mended))))
    assert "100% 75.00% worse" in squeezed(to_terminal(compare_report(compare(mended, run))))


def test_markdown_is_a_table_with_spreads_in_brackets(run: Run) -> None:
    lines = to_markdown(bench_report(figures(run))).splitlines()
    start = lines.index("| engine | ok | time | rows/s | peak RSS | success | vs legacy |")
    assert lines[start + 1] == "| :--- | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert lines[start + 3] == (
        "| restore | 3/3 | 1.62 s (1.60-1.71) | 1,230 | 62.1 MB (61.9-62.4) | 100% "
        "| 7.6x faster (0.12x memory) |"
    )


def test_markdown_takes_nothing_for_markup() -> None:
    grid = Grid((Column("a"),), ((("x|y_z",),),))
    text = to_markdown((grid, "<script>", Bullets("Title:", ("*one*", "two"))))
    assert "| x\\|y\\_z |" in text
    assert "\\<script>" in text
    assert "Title:\n\n- \\*one\\*\n- two\n" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (0.9996, "1.00"),
        (1.005, "1.00"),
        (9.996, "10.0"),
        (12.34, "12.3"),
        (99.96, "100"),
        (123.4, "123"),
        (1234.5, "1,234"),
        (1234567, "1,234,567"),
    ],
)
def test_figures_have_three_digits_or_their_whole_part(value: float, text: str) -> None:
    assert units.significant(value) == text


@pytest.mark.parametrize(
    ("speed", "text"),
    [
        (7.26, "7.3x faster"),
        (73.4, "73x faster"),
        (1.254, "1.25x faster"),
        (1, "1.00x faster"),
        (0.8, "1.25x slower"),
        (0.01, "100x slower"),
    ],
)
def test_ratios_in_words(speed: float, text: str) -> None:
    assert units.faster(speed) == text


@pytest.mark.parametrize(
    ("restored", "text"),
    [(0, "0.00%"), (1, "0.00%"), (99_999_999, "99.99%"), (100_000_000, "100%")],
)
def test_success_is_rounded_down_so_that_100_means_all(restored: int, text: str) -> None:
    assert units.share(Success(restored, 100_000_000)) == text
    figure = {"wall_s": None, "x_floor": None, "x_legacy": None, "peak_bytes": None}
    shown = {"id": "aaaa", "started_at": "2024", "rows": 1, "success": restored / 100_000_000}
    assert text in to_terminal(trend_report([figure | shown]))
