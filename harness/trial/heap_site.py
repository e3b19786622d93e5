"""Has a Python process trace its own heap; copied as ``sitecustomize.py`` to where Python finds it.

Python imports that at the start of each process of an engine: of the first, and of the workers that
it starts as programs. The process then runs its command line anew under ``python -m memray run``,
with the same interpreter, the same options, and the same process id, so whoever waits for it does
not notice. Memray cannot be begun from here: what traces would be taken out again before the
program's first line.

It runs in the engine's interpreter, so it imports nothing but the standard library.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

# The folder of the recordings; and which process is traced already, as its children are not.
FOLDER = "RESTOREBENCH_HEAPS"
TRACED = "RESTOREBENCH_HEAP_OF"

# Made in that folder by an interpreter that has no memray.
MISSING = "no-memray"
SUFFIX = ".memray"

_OPTIONS_WITH_VALUE = {"-X", "-W", "--check-hash-based-pycs"}


def trace() -> None:
    """Run this process anew, traced, unless it is, or nobody asked for it."""
    folder, pid = os.environ.get(FOLDER), str(os.getpid())
    if folder is None or os.environ.get(TRACED) == pid:
        return
    recording = Path(folder) / f"{pid}{SUFFIX}"
    command = traced_command(sys.orig_argv[1:], str(recording))
    if command is None or recording.exists():  # of one that ended, and had the same id
        return
    if importlib.util.find_spec("memray") is None:
        (Path(folder) / MISSING).touch()
        return
    os.environ[TRACED] = pid
    os.execv(sys.executable, [sys.executable, *command])  # noqa: S606 - ourselves, as we were called


def traced_command(words: list[str], recording: str) -> list[str] | None:
    """Return the arguments of an interpreter with memray put in; None where it runs no program.

    Not ``--aggregate``, which writes at the end: what is written as it goes is there of a process
    that was killed, too, as workers are that are needed no more.
    """
    found = _split(words)
    if found is None:
        return None
    options, program = found
    memray = ["-m", "memray", "run", "--quiet", "--output", recording]
    return [*options, *memray, *program]


def _split(words: list[str]) -> tuple[list[str], list[str]] | None:
    """Part an interpreter's options from its program: ``-m`` or ``-c`` and what follows, or a file.

    Options of one letter may stand together, and a value right behind its option: ``-Pmrestore``.
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
