"""Progress as a person sees it: plain lines, bars on a real (pseudo-)terminal, the question."""

from __future__ import annotations

import contextlib
import fcntl
import io
import itertools
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING, Any

import pytest

from restore.cli.progress import open_display
from restore.cli.progress.bars import ProgressBars
from restore.cli.progress.compact import compact_count, compact_rate, compact_size, compact_time
from restore.cli.progress.layout import choose_layout
from restore.cli.progress.lines import PlainLines
from restore.cli.progress.question import question
from restore.cli.signals import ProgressRecorder
from restore.report.events import BackupFound, Event, Progress, Stage, TableDone, WarningEvent
from restore.report.model import TableReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.tests.support.target import Target

PATIENCE_S = 60
AGAIN_S = 5.0
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
HOSTILE = "[red]u[/]\x1b[31m\r\n"


def progress(number: int = 3, **changes: Any) -> Progress:
    facts: dict[str, Any] = {
        "table": "users",
        "number": number,
        "tables": 24,
        "rows": 12_000,
        "rejected": 0,
        "batches": 12,
        "batches_expected": 85,
        "bytes_read": 5_200_000,
        "bytes_total": 40_100_000,
        "all_rows": 12_000,
        "all_bytes_read": 5_200_000,
        "all_bytes_total": 80_000_000,
    }
    return Progress(**facts | changes)


def done(**changes: Any) -> TableDone:
    facts: dict[str, Any] = {"table": "users", "schema": "public", "file": "users.json"}
    return TableDone(number=3, tables=24, report=TableReport(**facts | changes))


def plain_lines(*events: tuple[float, Event]) -> list[str]:
    """Return what is written when events come at these times, in seconds."""
    now = 0.0
    stream = io.StringIO()
    display = PlainLines(stream, lambda: now)
    for at, event in events:
        now = at
        display(event)
    return stream.getvalue().splitlines()


def test_plain_lines_tell_of_a_table_from_beginning_to_end() -> None:
    report = {"loaded": 20_000, "rejected": 3, "duplicates": 1, "wall_s": 1.2}
    assert plain_lines(
        (0, BackupFound(path="b/20240101_000000", newest=True, tables=24)),
        (0.5, progress()),
        (0.8, progress(rows=24_000, bytes_read=10_400_000)),
        (3.5, progress(rows=9, bytes_read=39_000_000, batches=90, rejected=7)),
        (3.6, WarningEvent(message="12 checkpoints were forced")),
        (3.7, done(**report)),
        (3.8, Stage(name="foreign keys")),
    ) == [
        "restoring b/20240101_000000, the newest, with 24 tables",
        "[3/24] users: batch 12/85, 12,000 records, 5.2/40.1 MB, 24,000 records/s, 4 s left",
        "[3/24] users: batch 90/90, 9 records, 39.0/40.1 MB, 3 records/s, 7 rejected, 1 s left",
        "warning: 12 checkpoints were forced",
        "[3/24] users: 20,000 loaded, 3 rejected, 1 duplicate in 1.2 s",
        "foreign keys ...",
    ]


def test_a_table_that_follows_is_timed_on_its_own() -> None:
    lines = plain_lines(
        (0, progress(number=1)), (10, done()), (11, progress(number=2, bytes_read=20_050_000))
    )
    assert lines[-1].endswith("12,000 records/s, 1 s left")
    assert "1,200 records/s" not in lines[-1]


def test_a_backup_that_was_found_is_told_with_what_comes_next() -> None:
    """Where an error does, it is the only line."""
    told: list[Event] = []
    recorder = ProgressRecorder(told.append)
    found = BackupFound(path="b", newest=True, tables=1)
    recorder(found)
    assert told == []
    recorder(progress())
    assert told == [found, progress()]


def test_figures_that_are_not_known_are_left_out() -> None:
    [line] = plain_lines((0, progress(batches=0, batches_expected=0, bytes_read=99_000_000)))
    assert line == "[3/24] users: 12,000 records, 40.1/40.1 MB"


def test_no_pace_is_told_before_it_can_be_known() -> None:
    """Over a few milliseconds it would be millions of records a second."""
    early, later = (
        plain_lines((0, BackupFound(path="b", newest=False, tables=1)), (at, progress()))[-1]
        for at in (0.49, 0.5)
    )
    assert early == "[3/24] users: batch 12/85, 12,000 records, 5.2/40.1 MB"
    assert later == f"{early}, 24,000 records/s, 4 s left"


def test_names_from_a_backup_cannot_command_a_terminal() -> None:
    report = {"table": HOSTILE, "loaded": 1}
    events: list[Event] = [
        BackupFound(path=HOSTILE, newest=False, tables=1),
        progress(table=HOSTILE),
        WarningEvent(message=HOSTILE),
        done(**report),
        Stage(name=HOSTILE),
    ]
    written = "\n".join(plain_lines(*((0, event) for event in events)))
    assert "\x1b" not in written
    assert written.count("[red]u[/]\\x1b[31m\\r\\n") == 5


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [40, 78, 200])
def test_bars_read_no_markup_and_fit_their_terminal(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen()
    ticks = itertools.count()
    with ProgressBars(screen, lambda: next(ticks)) as display:
        display(progress(table=HOSTILE))
        display(WarningEvent(message=f"warned {HOSTILE}"))
        display(Stage(name="foreign keys"))
    written = screen.getvalue()
    assert "[red]" in written
    assert "\x1b[31m" not in written
    assert written.rindex(SHOW_CURSOR) > written.rindex(HIDE_CURSOR)
    drawn = [line for line in written.splitlines() if line.startswith("all tables")]
    assert drawn
    assert all(len(line) <= width for line in drawn)
    assert ("12,000 records" if width == 200 else "12.0k records") in written
    assert any(part in written for part in "━╸") == (width > 40)
    assert ("s left" in written) == (width == 200)


def test_bars_begin_with_the_first_batch() -> None:
    """Before it there may be a question, which needs the terminal for itself."""
    screen = Screen()
    with ProgressBars(screen) as display:
        display(BackupFound(path="b", newest=False, tables=1))
    assert screen.getvalue().splitlines()[0] == "restoring b with 1 table"
    assert HIDE_CURSOR not in screen.getvalue()


@pytest.mark.parametrize(
    ("form", "term", "terminal", "shown"),
    [
        ("auto", "xterm", True, "ProgressBars"),
        ("auto", "dumb", True, "PlainLines"),
        ("auto", "xterm", False, "PlainLines"),
        ("bar", "xterm", True, "ProgressBars"),
        ("bar", "xterm", False, "PlainLines"),
        ("plain", "xterm", True, "PlainLines"),
        ("none", "xterm", True, "function"),
    ],
)
def test_what_is_shown_where(
    monkeypatch: pytest.MonkeyPatch, form: Any, term: str, shown: str, *, terminal: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    stream = Screen() if terminal else io.StringIO()
    with open_display(form, stream) as display:
        assert type(display).__name__ == shown


class Terminal:
    """A process whose standard error, and its input if asked, are a pseudo-terminal."""

    def __init__(self, command: list[str], *, width: int = 120, typed: str | None = None) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        # These would overrule the terminal's own size.
        env = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES"}}
        env["TERM"] = "xterm-256color"
        stdin = subprocess.DEVNULL if typed is None else theirs
        self.process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=theirs, env=env, text=True
        )
        os.close(theirs)
        self.seen = ""
        if typed is not None:
            self.wait_for("[y/N]")
            os.write(self._ours, typed.encode())

    def wait_for(self, text: str) -> None:
        while text not in self.seen:
            assert self._read(), self.seen

    def interrupt_question(self) -> None:
        """Send SIGINT, and repeat it until something is printed.

        ``readline`` of CPython misses a signal that arrives right before it waits.
        """
        for _ in range(int(PATIENCE_S / AGAIN_S)):
            self.process.send_signal(signal.SIGINT)
            if select.select([self._ours], [], [], AGAIN_S)[0]:
                return

    def _read(self) -> bool:
        """Read some; false at the end, which Linux tells by an error."""
        ready, _, _ = select.select([self._ours], [], [], PATIENCE_S)
        if not ready:
            self.process.kill()
        with contextlib.suppress(OSError):
            data = os.read(self._ours, 65536)
            self.seen += data.decode()
            return bool(data)
        return False

    def end(self) -> str:
        """Wait until it has ended, and return what it wrote to standard output."""
        while self._read():
            pass
        output, _ = self.process.communicate(timeout=PATIENCE_S)
        os.close(self._ours)
        return output


DRAWING = """
import sys
from restore.cli.progress.bars import ProgressBars
from restore.report.events import Progress, TableDone
from restore.report.model import TableReport

now = 0.0


def progress(table, number, rows, done, total):
    return Progress(
        table=table, number=number, tables=3, rows=rows, rejected=0, batches=9,
        batches_expected=99, bytes_read=done, bytes_total=total, all_rows=4_130_000 + rows,
        all_bytes_read=done, all_bytes_total=80_000_000,
    )


def done(table, number, read):
    return TableDone(number, 3, TableReport(table=table, schema="s", file="f", read=read))


with ProgressBars(sys.stderr, lambda: now) as bars:
    for now, event in EVENTS:
        bars(event)
"""


def drawn(events: str, width: int) -> list[str]:
    """Return the lines that bars draw of these events on a terminal, without colours."""
    terminal = Terminal([sys.executable, "-c", DRAWING.replace("EVENTS", events)], width=width)
    terminal.end()
    assert terminal.process.returncode == 0, terminal.seen
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.seen).replace("\r", "\n").split("\n")


LONG = '"a_table_with_a_name_that_is_long"'
HALF_WAY = f"[(0.0, done({LONG}, 1, 0)), (0.5, progress({LONG}, 2, 12_345, 5_200_000, 40_100_000))]"


@pytest.mark.parametrize("width", [60, 80, 100])
def test_all_figures_of_both_bars_are_seen_on_a_narrow_terminal(width: int) -> None:
    lines = drawn(HALF_WAY, width)
    [whole, *_] = [line for line in lines if line.startswith("all tables ")]
    [table, *_] = [line for line in lines if line.startswith("[2/3] a_t")]
    assert len(whole) <= width
    assert len(table) <= width
    assert "…" in table[:24]
    assert re.search(r" 6% +4\.14M records +8\.3M/s +5\.2/80 MB +0:08$", whole), whole
    assert re.search(r" 12% +12\.3k records +25k/s +5\.2/40 MB +0:04$", table), table
    assert ("━" in whole) == (width > 60)


def test_bars_show_no_rate_before_it_can_be_known() -> None:
    early = drawn('[(0.0, done("a", 1, 0)), (0.49, progress("b", 2, 12_345, 1, 2))]', 80)
    assert any("12.3k records" in line for line in early)
    assert not any("/s" in line for line in early)


@pytest.mark.parametrize("begun", [True, False], ids=["with a batch", "without"])
def test_bars_are_as_far_as_the_tables_that_are_done(*, begun: bool) -> None:
    batch = '(2, progress("z", 3, 10, 1_000, 80_000_000)),' if begun else ""
    lines = drawn(f'[(1, progress("big", 2, 5, 1_000, 2_000)), {batch} (3, done("z", 3, 77))]', 80)
    end = next(n for n, line in enumerate(lines) if line.startswith("[3/3] z: "))
    assert not any("[2/3]" in line for line in lines[end:])
    wholes = [line for line in lines[end:] if line.startswith("all tables")]
    tables = [line for line in lines[end:] if line.startswith("[3/3] z ")]
    assert wholes
    assert tables
    assert all("100%" in line and "80/80 MB" in line for line in wholes)
    assert all("100%" in line and "77 records" in line for line in tables)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (compact_count(0), "0"),
        (compact_count(9_999), "9,999"),
        (compact_count(10_000), "10.0k"),
        (compact_count(99_960), "100k"),
        (compact_count(999_499), "999k"),
        (compact_count(999_500), "1.00M"),
        (compact_count(12_345_678_901), "12.3G"),
        (compact_rate(0.4), "0/s"),
        (compact_rate(2_345), "2,300/s"),
        (compact_rate(999_999), "1.0M/s"),
        (compact_size(0, 0), "0/0 B"),
        (compact_size(3, 10), "3/10 B"),
        (compact_size(900, 1_700), "0.9/1.7 kB"),
        (compact_size(99_000_000, 40_100_000), "40/40 MB"),
        (compact_size(5_200_000, 40_100_000_000), "0.0/40 GB"),
        (compact_size(0, 999_600_000), "0.0/1.0 GB"),
        (compact_time(0), "0:01"),
        (compact_time(59.1), "1:00"),
        (compact_time(3_599), "59:59"),
        (compact_time(3_723), "1:02:03"),
    ],
)
def test_compact_figures(written: str, expected: str) -> None:
    assert written == expected


@pytest.mark.parametrize("width", range(1, 220))
def test_a_line_is_never_wider_than_its_terminal(width: int) -> None:
    chosen = choose_layout(width)
    parts = [chosen.name, chosen.percent, *chosen.figures.values()]
    parts += [chosen.bar] if chosen.bar else []
    assert sum(parts) + len(parts) - 1 <= max(width, 6)


def restoring(target: Target, *words: str) -> list[str]:
    words = (str(target.backup), "--dsn", target.dsn, "--rejects", str(target.rejects), *words)
    return [sys.executable, "-m", "restore", *words]


@pytest.fixture
def large(target: Target) -> Iterator[Target]:
    """A target with a table that takes some batches, and a name that is markup and an escape."""
    target.conn.execute('CREATE TABLE "[red]t\x1b[31m" (id int PRIMARY KEY, body text)')
    records = [{"id": n, "body": "x" * 400} for n in range(10_000)]
    name = "[red]t\x1b[31m.json"
    (target.backup / name).write_text(json.dumps(records), encoding="utf-8")
    yield target
    (target.backup / name).unlink()


def test_on_a_terminal_bars_are_drawn_and_taken_away(large: Target) -> None:
    terminal = Terminal(restoring(large))
    output = terminal.end()
    assert terminal.process.returncode == 0, terminal.seen
    assert "all tables" in terminal.seen
    assert "[1/1] [red]t\\x1b[31m" in terminal.seen
    assert terminal.seen.rindex(SHOW_CURSOR) > terminal.seen.rindex(HIDE_CURSOR)
    assert "[red]t\\x1b[31m" in output
    assert "\x1b" not in output


def test_the_last_bars_are_those_of_the_last_table(large: Target) -> None:
    large.conn.execute("CREATE TABLE zebra (id int PRIMARY KEY)")
    (large.backup / "zebra.json").write_text("[]", encoding="utf-8")
    terminal = Terminal(restoring(large, "--jobs", "1"), width=80)
    terminal.end()
    (large.backup / "zebra.json").unlink()
    assert terminal.process.returncode == 0, terminal.seen
    after = terminal.seen.partition("[2/2] zebra: ")[2]
    assert "all tables" in after
    assert "[1/2]" not in after
    assert "[2/2] zebra" in after


def test_an_interrupt_shows_the_cursor_again(large: Target) -> None:
    terminal = Terminal(restoring(large, "--chunk-bytes", "1024"))
    terminal.wait_for("all tables")
    terminal.process.send_signal(signal.SIGINT)
    terminal.end()
    assert terminal.process.returncode == 1
    assert terminal.seen.rindex(SHOW_CURSOR) > terminal.seen.rindex(HIDE_CURSOR)
    assert "Traceback" not in terminal.seen
    assert terminal.seen.rstrip().splitlines()[-1].count("restore: interrupted; ") == 1


def asking() -> list[str]:
    program = (
        "from restore.cli.progress.question import asker\n"
        "ask = asker()\n"
        "print('nobody to ask' if ask is None else ask({'users': 1234, 'posts': 99}))"
    )
    return [sys.executable, "-c", program]


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("y\n", "True"),
        ("YES\n", "True"),
        ("\n", "False"),
        ("no\n", "False"),
        ("\x04", "False"),
    ],
)
def test_the_question_is_asked_on_the_terminal(typed: str, answer: str) -> None:
    terminal = Terminal(asking(), typed=typed)
    assert terminal.end().strip() == answer
    assert terminal.seen.startswith(
        "users holds 1,234 rows, posts 99: empty these 2 tables and restore? [y/N] "
    )


def test_an_interrupt_at_the_question_is_a_no() -> None:
    terminal = Terminal(asking(), typed="")
    terminal.interrupt_question()
    assert terminal.end().strip() == "False"


def test_nobody_is_asked_without_a_terminal() -> None:
    assert Terminal(asking()).end().strip() == "nobody to ask"


def test_the_question_about_one_table() -> None:
    assert question({HOSTILE: 1}) == (
        "[red]u[/]\\x1b[31m\\r\\n holds 1 row: empty this table and restore? [y/N] "
    )
