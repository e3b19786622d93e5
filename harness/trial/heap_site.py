"""Makes a Python process trace its own heap; copied as ``sitecustomize.py`` into its path.

Python imports that file at the start of each process of an engine: of the first, and of workers
that are started as programs. The process then executes its command line again under ``python -m
memray run``, with the same interpreter, options and process id, so its parent does not notice.
Memray cannot be started from here: its tracer would be removed before the program's first line.

It runs in the engine's interpreter, so it imports nothing but the standard library.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

# Variables: the folder of the recordings, and the process that is traced already.
FOLDER = "RESTOREBENCH_HEAPS"
TRACED = "RESTOREBENCH_HEAP_OF"

# Made in that folder by an interpreter that has no memray.
MISSING = "no-memray"
SUFFIX = ".memray"

_OPTIONS_WITH_VALUE = {"-X", "-W", "--check-hash-based-pycs"}


def trace() -> None:
    """Execute this process again under memray, unless it is traced or tracing is off."""
    folder, pid = os.environ.get(FOLDER), str(os.getpid())
    if folder is None or os.environ.get(TRACED) == pid:
        return
    recording = Path(folder) / f"{pid}{SUFFIX}"
    command = traced_command(sys.orig_argv[1:], str(recording))
    if command is None or recording.exists():  # of an earlier process with this id
        return
    if importlib.util.find_spec("memray") is None:
        (Path(folder) / MISSING).touch()
        return
    os.environ[TRACED] = pid
    os.execv(sys.executable, [sys.executable, *command])  # noqa: S606 - ourselves, as we were called


def traced_command(words: list[str], recording: str) -> list[str] | None:
    """Return the interpreter's arguments with memray inserted; None if it runs no program.

    Not ``--aggregate``, which writes at the end: a process that is killed, as idle workers are,
    would leave no recording.
    """
    found = _split(words)
    if found is None:
        return None
    options, program = found
    memray = ["-m", "memray", "run", "--quiet", "--output", recording]
    return [*options, *memray, *program]


def _split(words: list[str]) -> tuple[list[str], list[str]] | None:
    """Split an interpreter's options from its program: ``-m`` or ``-c`` with the rest, or a file.

    One-letter options may be joined, and a value may follow its option directly: ``-Pmrestore``.
    """
    place = 0
    while place < len(words):
        word = words[place]
        if word in _OPTIONS_WITH_VALUE:
            place += 2
            continue
        if not word.startswith("-"):
            return words[:place], words[place:]
        if word == "-":  # the program comes from the standard input
            return None
        letters = "" if word.startswith("--") else word[1:]
        for number, letter in enumerate(letters):
            if letter in "XW":
                break
            if letter in "mc":
                before = [f"-{letters[:number]}"] if number else []
                value = [letters[number + 1 :]] if letters[number + 1 :] else []
                return [*words[:place], *before], [f"-{letter}", *value, *words[place + 1 :]]
        place += 1
    return None


if __name__ == "sitecustomize":
    trace()
