"""The command answers signals from its first moment on, and what it imports is what it needs."""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import restore

CHECKOUT = Path(__file__).parents[3]
# Ends in the import of a module what runs as `python -m restore`, as Ctrl-C at this moment does.
PROGRAM = """
import os, runpy, signal, sys
moment, number = sys.argv[1], int(sys.argv[2])
class Signal:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            print(name, flush=True)
            os.kill(os.getpid(), number)
sys.meta_path.insert(0, Signal())
signal.signal(number, {before})
sys.argv[1:] = ["no-backup", "--dsn", "service=none"]
runpy.run_module("restore", run_name="__main__", alter_sys=True)
"""
MOMENTS = (
    "msgspec",
    "psycopg",
    "restore.cli.arguments",
    "restore.report.render",
    "restore.commands.restore",
)


def started(
    moment: str, number: signal.Signals, before: str = "signal.default_int_handler"
) -> subprocess.CompletedProcess[str]:
    """Start the command, and have it get a signal while it imports a module."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before), moment, str(int(number))],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_while_it_starts_ends_it_in_one_line(moment: str, number: signal.Signals) -> None:
    done = started(moment, number)
    assert done.stdout == f"{moment}\n"
    assert done.stderr.strip() == "restore: interrupted, but not in the middle of a restore"
    assert done.returncode == 1


def test_a_signal_that_is_to_be_ignored_is() -> None:
    done = started("psycopg", signal.SIGHUP, "signal.SIG_IGN")
    assert done.stdout.startswith("psycopg\n")
    assert done.stderr.startswith("restore: no backup at no-backup")
    assert done.returncode == 2


def modules_after(statement: str) -> set[str]:
    program = f"import sys; {statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


ARENAS = """
import ctypes, threading
{before}
barrier = threading.Barrier(4)
def allocate():
    kept = bytes(100_000)
    barrier.wait()
threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")
@pytest.mark.parametrize(
    ("before", "is_shared"),
    [("", False), ("from restore.startup import use_one_arena; use_one_arena()", True)],
)
def test_threads_share_one_arena(before: str, is_shared: bool) -> None:  # noqa: FBT001 - a parameter
    done = subprocess.run(
        [sys.executable, "-c", ARENAS.format(before=before)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stderr.count("Arena ") == 1) is is_shared


# What `--help` answers with: Python's own, and of the command the files that describe it.
HELP = {
    "restore",
    "restore.__main__",
    "restore.cli",
    "restore.cli.arguments",
    "restore.cli.help_texts",
    "restore.cli.main",
    "restore.cli.option_table",
    "restore.cli.option_values",
    "restore.errors",
    "restore.options",
    "restore.remote",
    "restore.remote.path",
    "restore.startup",
    "restore.text",
    "restore.version",
}


@pytest.mark.parametrize("words", [["--help"], ["retry", "--help"], ["--version"], ["--no-such"]])
def test_help_imports_no_package_and_little_of_ours(words: list[str]) -> None:
    imported = modules_after(
        f"sys.argv[1:] = {words}; from restore.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
    )
    assert {name for name in imported if name.partition(".")[0] == "restore"} <= HELP
    assert not {"psycopg", "msgspec", "rich", "xxhash", "asyncio", "logging"} & imported


def test_the_package_imports_what_is_asked_for() -> None:
    nothing = modules_after("import restore")
    assert not {"psycopg", "msgspec", "restore.commands.restore"} & nothing
    assert "restore.commands.restore" in modules_after("from restore import restore")
    assert not {"restore.commands.restore", "restore.cli.arguments"} & modules_after(
        "import restore.schedule.threads"
    )


def test_the_public_face_is_whole() -> None:
    for name in restore.__all__:
        assert getattr(restore, name)
    assert set(restore.__all__) <= set(dir(restore))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = restore.nothing
