"""The closing report, read by a person; reports are built by hand."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from restore.options import MaxRejects, Options
from restore.report.model import Levels, ReasonCount, Report, TableReport
from restore.report.next_steps import next_steps
from restore.report.render import render, success

OPTIONS = Options(backup=Path("backups"), dsn="postgresql://me@localhost/shop")


def table(name: str, read: int, rejected: int = 0, duplicates: int = 0, **rest: Any) -> TableReport:
    return TableReport(
        table=name,
        schema=rest.pop("schema", "public"),
        file=f"{name}.json",
        read=read,
        loaded=read - rejected - duplicates,
        rejected=rejected,
        duplicates=duplicates,
        wall_s=rest.pop("wall_s", 1.0),
        **rest,
    )


def report(*tables: TableReport, **rest: Any) -> Report:
    return Report(backup="backups/20240101_000000", tables=list(tables), **rest)


def shown(of: Report, options: Options = OPTIONS) -> str:
    of.next_steps = next_steps(of, options)
    return render(of)


BAD = report(
    table(
        "users",
        20_000,
        rejected=4,
        duplicates=1,
        levels=Levels(batch=19_988, split=4, row=2, literal=2),
        taken_out=1,
        unknown_fields={"nickname": 3},
        warnings=["cut at byte 7"],
        reasons=[
            ReasonCount(
                reason="duplicate key",
                kind="duplicate",
                count=1,
                example="duplicate key: Key (id)=(7) already exists.",
                first_ordinal=5,
            ),
            ReasonCount(
                reason="invalid input syntax for type date: ...",
                example='invalid input syntax for type date: "never"',
                kind="rejected",
                count=4,
                first_ordinal=17,
                first_offset=8123,
            ),
        ],
    ),
    table("posts", 1_000_000, wall_s=75.4, levels=Levels(batch=1_000_000)),
    wall_s=76.5,
    target="shop on localhost as me",
    rejects="my rejects",
    stale=["public.daily"],
    warnings=["12 checkpoints were forced"],
    left_out=["manifest.json: holds no records"],
    peak_bytes=50 << 20,
)


def test_a_bad_restore_tells_what_was_lost_why_and_what_to_type() -> None:
    assert (
        shown(BAD)
        == """\
NOT all restored: 1,019,995 of 1,020,000 records of backups/20240101_000000 into shop on localhost
  as me in 76 s

table       read     loaded  duplicates  rejected  success   time  rows/s
users     20,000     19,995           1         4   99.97%  1.0 s  19,995
posts  1,000,000  1,000,000           0         0     100%   75 s  13,263
all    1,020,000  1,019,995           1         4   99.99%   76 s  13,333

By table (records count from 0)
  users: 4 rejected, 1 duplicate, 20,000 records of users.json read
    1 orphan of these was loaded and removed again: what it refers to is missing
    4 x invalid input syntax for type date: ...
      first: record 17 at byte 8,123: invalid input syntax for type date: "never"
    1 x duplicate key: Key (id)=(7) already exists; record 5
    loaded: 19,988 by batch, 4 by split batch, 2 row by row, 2 as literals
    cut at byte 7
    no column for field 'nickname', ignored in 3 records

Notes
  12 checkpoints were forced
  left out: manifest.json: holds no records
  not up to date: materialized views public.daily
  peak memory: 50 MiB
  5 records not restored; the rejects are in my rejects, with their reasons

Next
  1. See the rejected records, one a line, each with its reason:
       less 'my rejects/users.jsonl'
  2. Repair them in these files, under "raw", or the database that refused them; delete the lines
     that you do not need. Then restore them:
       python -m restore retry 'my rejects' --dsn postgresql://me@localhost/shop
  3. 1 field has no column and was left out. For what should be kept, add a column, of the right
     type, and restore again with --clean:
       ALTER TABLE "users" ADD COLUMN "nickname" text;
  4. Refresh the materialized views, in psql:
       REFRESH MATERIALIZED VIEW public.daily;"""
    )


def test_a_good_restore_is_short() -> None:
    text = shown(report(table("users", 5, levels=Levels(batch=5)), wall_s=1))
    assert text.startswith("All restored: 5 of 5 records")
    assert "Next" not in text
    assert "lost" not in text
    assert "by batch" not in text


@pytest.mark.parametrize(
    ("part", "whole", "unsure", "share"),
    [
        (0, 0, False, "100%"),
        (0, 0, True, "-"),
        (5, 5, False, "100%"),
        (5, 5, True, "<100%"),
        (999_999, 1_000_000, False, "99.99%"),
        (9_999_999_999, 10_000_000_000, False, "99.99%"),
        (2, 3, False, "66.66%"),
        (0, 7, False, "0.00%"),
    ],
)
def test_success_is_rounded_down(part: int, whole: int, share: str, *, unsure: bool) -> None:
    assert success(part, whole, unsure=unsure) == share


def test_a_stopped_restore_says_how_to_begin_again() -> None:
    text = shown(
        report(
            table("users", 10, error="the server went away"),
            table("posts", 0),
            error="the server went away",
        )
    )
    assert text.startswith("STOPPED before the end")
    assert (
        "users: stopped, 10 records of users.json read\n    stopped: the server went away" in text
    )
    assert "users    10" in text
    assert text.count("<100%") == 2
    again = "python -m restore backups/20240101_000000 --dsn postgresql://me@localhost/shop --clean"
    assert text.splitlines()[-1].strip() == again


def test_a_file_that_is_cut_off_is_never_100_percent() -> None:
    text = shown(report(table("users", 10, cut_off=True)))
    assert "NOT all restored" in text
    assert "<100%" in text
    assert "users: users.json is truncated, 10 records of users.json read" in text
    assert "Get a whole copy of users.json" in text


def test_what_was_skipped_as_told_is_no_loss() -> None:
    text = shown(report(table("users", 10, duplicates=4, skipped=4)))
    assert text.startswith("All restored")
    assert "100%" in text
    assert "4 duplicates (4 skipped, as requested)" in text


def test_a_dry_run_says_how_to_do_it() -> None:
    options = Options(backup=Path("b"), dry_run=True, clean=True)
    text = shown(report(table("users", 10), dry_run=True), options)
    assert text.startswith("Dry run, nothing was written")
    assert text.splitlines()[-1].strip() == "python -m restore backups/20240101_000000 --clean"


def test_commands_repeat_the_options_and_survive_a_shell() -> None:
    options = Options(
        backup=Path("b"),
        dsn="postgresql://me:s3cret@localhost/shop?application_name=a%20b",
        rejects=Path("my rejects"),
        tables=frozenset({"b c", "a"}),
        map={"u.json": "it's"},
        max_rejects=MaxRejects(count=1000),
        lock_timeout_s=5.0,
        append=True,
    )
    [step] = next_steps(report(error="no"), options)
    sentence, command = step.split("\n")
    assert "s3cret" not in step
    assert "rows whose key exists are kept" in sentence
    assert shlex.split(command) == [
        *("python", "-m", "restore", "backups/20240101_000000"),
        *("--dsn", "postgresql://me@localhost/shop?application_name=a%20b"),
        *("--rejects", "my rejects", "--tables", "a", "--tables", "b c", "--map", "u.json=it's"),
        *("--append", "--on-conflict", "skip", "--max-rejects", "1000", "--lock-timeout", "5.0"),
    ]


def test_names_of_a_hostile_backup_reach_no_terminal_and_no_sql() -> None:
    hostile = 'x"; DROP TABLE y; \x1b[31m\n--'
    of = report(
        table(
            hostile,
            3,
            rejected=1,
            unknown_fields={hostile: 1, 'x"; DROP TABLE y': 1},
            warnings=[hostile],
            reasons=[ReasonCount(reason=hostile, kind="rejected", count=1)],
        ),
        left_out=[hostile],
        warnings=[hostile],
        stale=[],
        rejects=f"rejects/{hostile}",
    )
    text = shown(of)
    assert "\x1b" not in text
    assert "\n--" not in text
    assert text.count("ADD COLUMN") == 1
    assert 'ADD COLUMN "x""; DROP TABLE y" text;' in text


def test_the_table_of_counts_fits_whatever_the_names() -> None:
    long = "a" * 63
    text = shown(report(table(long, 12_345_678_901), table("b", 1)))
    lines = text.split("\n\n")[1].splitlines()
    assert lines[1] == long
    assert max(map(len, lines)) <= 100
    assert lines[2].split()[0] == "12,345,678,901"


def test_tables_of_one_name_in_two_schemas_are_told_apart() -> None:
    text = shown(report(table("t", 1, schema="a"), table("t", 2, schema="b")))
    assert "a.t " in text
    assert "b.t " in text


def test_a_retry_reads_times_as_the_restore_did() -> None:
    options = Options(backup=Path("b"), timezone="Europe/Berlin", clean=True, batch_size=5)
    steps = next_steps(report(table("t", 5, rejected=1), rejects="r"), options)
    assert steps[1].endswith("python -m restore retry r --timezone Europe/Berlin")


def test_only_duplicates_need_no_repair() -> None:
    steps = next_steps(report(table("t", 5, duplicates=1), rejects="r"), OPTIONS)
    assert "All of them are duplicates" in steps[-1]


def test_many_tables_with_rejects_are_cut_short() -> None:
    tables = [table(f"t{n}", 5, rejected=1) for n in range(9)]
    [look, *_] = next_steps(report(*tables, rejects="r"), OPTIONS)
    assert look.splitlines()[-2:] == ["less r/t4.jsonl", "(and 4 more)"]


def test_a_restore_that_stopped_at_its_rejects_shows_them_and_begins_anew() -> None:
    stopped = report(table("t", 5, rejected=1), rejects="r", error="more than 0 rejects")
    look, again = next_steps(stopped, OPTIONS)
    assert look.endswith("less r/t.jsonl")
    assert again.endswith("--clean")


def test_fields_that_are_ignored_as_told_are_not_spoken_of() -> None:
    of = report(table("t", 5, unknown_fields={"nickname": 2}))
    options = Options(backup=Path("b"), unknown_fields="ignore")
    assert next_steps(of, options) == []
    assert "nickname" not in render(of, unknown_fields=False)


def test_a_retry_is_followed_by_another() -> None:
    steps = next_steps(report(table("t", 5, rejected=1), rejects="r/t.jsonl"), OPTIONS, retry=True)
    again = "python -m restore retry r/t.jsonl --dsn postgresql://me@localhost/shop"
    assert [step.split("\n")[1] for step in steps] == ["less r/t.jsonl", again]
    [step] = next_steps(report(table("t", 5), rejects="r", error="gone"), OPTIONS, retry=True)
    assert step.endswith("retry r --dsn postgresql://me@localhost/shop --on-conflict skip")


def test_all_but_commands_fits_100_columns() -> None:
    reasons = [
        ReasonCount(reason="why " * 30, kind="rejected", count=n + 1, first_ordinal=n)
        for n in range(7)
    ]
    of = report(table("t", 99, rejected=28, reasons=reasons), rejects="r" * 120)
    of.warnings = ["because " * 40]
    text = shown(of)
    typed = [line for line in text.splitlines() if line.startswith("       ")]
    assert max(len(line) for line in text.splitlines() if line not in typed) <= 100
    assert "\n    7 x why why" in text
    assert "\n      why" in text
    assert "    3 x 2 other reasons" in text
    assert any(len(line) > 120 for line in typed)


def test_the_row_that_failed_is_left_to_the_rejects() -> None:
    words = 'null value in column "a": Failing row contains (1, s3cret).'
    reasons = [ReasonCount(reason="null value", kind="rejected", count=1, example=words)]
    text = shown(report(table("t", 9, rejected=1, reasons=reasons)))
    assert text.split("\n\n")[2].endswith('1 x null value in column "a"')
    assert "s3cret" not in text


def test_one_reason_more_is_shown_and_not_counted() -> None:
    reasons = [ReasonCount(reason=f"r{n}", kind="rejected", count=1) for n in range(6)]
    text = shown(report(table("t", 9, rejected=6, reasons=reasons)))
    assert "1 x r5" in text
    assert "other reason" not in text
