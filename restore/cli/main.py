"""The command ``db-restore-optimized``: parses, runs, prints, and chooses the exit code.

The report goes to standard output; progress, warnings and errors go to standard error. This file
imports no more than ``--help`` needs: ``run.py`` imports the restorer.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from restore.cli.arguments import parse
from restore.errors import RestoreError
from restore.remote.path import HIDDEN_URLS, RemotePath, to_path
from restore.startup import EXIT_FAILED, IDLE
from restore.text import clip, escape_controls

if TYPE_CHECKING:
    from collections.abc import Sequence

# The advice at the end of a line may name many files.
_LONGEST_LINE = 8_000


def start() -> int:
    """Run the command as a process of its own."""
    _hide_password()
    return main()


def main(words: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code. See docs/restore.md."""
    _tolerate_narrow_encodings()
    try:
        arguments = parse(sys.argv[1:] if words is None else words)
        from restore.cli.run import run  # noqa: PLC0415 - the restorer, which takes its time

        outcome = run(arguments, _print)
        if outcome.output:
            _print(outcome.output)
        for message in outcome.messages:
            _complain(message)
    except RestoreError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _complain(IDLE)
        return EXIT_FAILED
    except BrokenPipeError:
        # The reader of our output is gone. Python flushes once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except (OSError, MemoryError) as error:
        # None of these should come here; a traceback would tell a user less.
        _complain(f"failed: {' '.join(str(error).split()) or type(error).__name__}; restore again")
        return EXIT_FAILED
    return outcome.exit_code


def _print(text: str) -> None:
    print(text, flush=True)


def _complain(line: str) -> None:
    with contextlib.suppress(OSError):  # standard error is closed
        print(f"restore: {escape_controls(clip(line, _LONGEST_LINE))}", file=sys.stderr)


def _tolerate_narrow_encodings() -> None:
    """Escape characters that a stream's encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _hide_password() -> None:
    """Start this process again if its command line, which all users can see, holds a secret.

    The new process has it in its environment, which only its user can see.
    """
    words: list[str] = sys.orig_argv
    secrets: dict[str, str] = {}
    if os.name != "posix" or not sys.executable:
        return
    if any("--dsn" in word for word in words):
        words, password = _without_password(words)
        secrets |= {} if password is None else {"PGPASSWORD": password}
    words, urls = _without_signatures(words)
    if urls:
        import json  # noqa: PLC0415 - few URLs hold a secret

        secrets[HIDDEN_URLS] = json.dumps(urls)
    if secrets:
        words[0] = sys.executable  # Python finds its packages by it
        os.execve(sys.executable, words, {**os.environ, **secrets})  # noqa: S606 - ourselves


def _without_signatures(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Remove secrets from URLs of stores; return the full URLs by the shown ones, too."""
    cleaned, urls = list(words), {}
    for n, word in enumerate(words):
        flag, sign, value = word.partition("=") if word.startswith("--") else ("", "", word)
        path = to_path(value) if "://" in value else None
        if isinstance(path, RemotePath) and str(path) not in (path.url, value.rstrip("/")):
            cleaned[n] = f"{flag}{sign}{path}"
            urls[str(path)] = value
    return cleaned, urls


def _without_password(words: list[str]) -> tuple[list[str], str | None]:
    from restore.target.dsn import mask_password, password_of  # noqa: PLC0415 - imports psycopg

    cleaned, password = list(words), None
    for n, word in enumerate(words):
        start = "--dsn=" if word.startswith("--dsn=") else ""
        if not start and (n == 0 or words[n - 1] != "--dsn"):
            continue
        held = password_of(word.removeprefix(start))
        if held is not None:
            password = held
            cleaned[n] = start + mask_password(word.removeprefix(start))
    return cleaned, password
