"""The command ``db-restore-optimized``: a thin shell over :func:`restore.restore`.

Only this file prints. The report goes to standard output; progress, warnings and errors to
standard error.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import logging
import os
import sys
from typing import TYPE_CHECKING

import msgspec
import psycopg

from restore.cli.arguments import parse
from restore.cli.progress import open_display
from restore.cli.progress.question import asker
from restore.cli.settings import settle
from restore.cli.signals import Follower, Interruption
from restore.commands.restore import restore
from restore.errors import Interrupted, RestoreError, UsageError
from restore.report.model import Report
from restore.report.render import render
from restore.startup import EXIT_FAILED, IDLE
from restore.target.dsn import password_of, without_password
from restore.text import clipped, safe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from restore.cli.arguments import Arguments
    from restore.cli.settings import Settings

_EXIT_OK = 0
_EXIT_REJECTS = 3

# Rows are no cycles, and there are many: with Python's own threshold, looking for cycles among them
# took 7% of the time of a restore of 100,000 records.
_GC_THRESHOLD = 50_000


def main(words: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code. See docs/restore.md."""
    # psycopg warns of every connection that an interrupt ended; our own line says that.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    _tolerate_narrow_encodings()
    with Interruption():
        try:
            return _run(parse(sys.argv[1:] if words is None else words))
        except RestoreError as error:
            _say(str(error))
            return error.exit_code
        except KeyboardInterrupt:
            _say(IDLE)
            return EXIT_FAILED
        except BrokenPipeError:
            # Whoever read our output has had enough. Python flushes once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_FAILED
        except (psycopg.Error, OSError, MemoryError) as error:
            # None of these should come here; to whoever restores, a traceback would say less.
            _say(f"failed: {' '.join(str(error).split()) or type(error).__name__}; restore again")
            return EXIT_FAILED


def _run(arguments: Arguments) -> int:
    """Do what the command line asks for.

    Raises:
        RestoreError: nothing was written.
    """
    if arguments.task == "schema":
        print(report_schema())
        return _EXIT_OK
    if arguments.task == "repair":
        _repair(arguments)
        return _EXIT_OK
    retry = arguments.task == "retry"
    settings = settle(arguments.path, arguments.given, os.environ, retry=retry)
    _check_writable(settings.report)
    follower, report = _restore(settings, retry=retry)
    if report is None:
        _say(follower.state(settings.options, retry=retry))
        return EXIT_FAILED
    code = _write_report(settings.report, report)
    ignored = settings.options.unknown_fields == "ignore"
    print(render(report, unknown_fields=not ignored), flush=True)
    return code or _verdict(report)


def _repair(arguments: Arguments) -> None:
    """Bring back what is aside, and say so.

    Raises:
        RestoreError: something is still aside, or the command line makes no sense.
    """
    from restore.commands.repair import repair  # noqa: PLC0415 - few need it

    settings = settle(arguments.path, arguments.given, os.environ, repair=True)
    empty = arguments.given.get("empty") is True
    repair(settings.options, lambda line: print(safe(line), flush=True), empty=empty)


def _restore(settings: Settings, *, retry: bool) -> tuple[Follower, Report | None]:
    """Restore, or try rejects again, and show how far it is; no report: it was interrupted.

    Raises:
        RestoreError: nothing was written.
    """
    with open_display(settings.progress, sys.stderr) as display:
        follower, options = Follower(display), settings.options
        try:
            if retry:
                from restore.commands.retry import retry as restore_rejects  # noqa: PLC0415 - few need it

                return follower, restore_rejects(options.backup, options, follower)
            return follower, restore(options, follower, asker())
        except KeyboardInterrupt as interrupt:
            if isinstance(interrupt, Interrupted):
                follower.needs_repair = interrupt.needs_repair
                follower.resumable = interrupt.resumable
            return follower, None


def report_schema() -> str:
    """Return the JSON Schema of the report, as docs/report.schema.json has it."""
    schema = msgspec.json.schema(Report)
    for part in schema["$defs"].values():
        if "description" in part:
            part["description"] = inspect.cleandoc(part["description"])
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()


def _write_report(path: Path | None, report: Report) -> int:
    """Write the report where one is wanted; return an exit code other than 0 if that fails."""
    try:
        if path is not None:
            path.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    except OSError as error:
        _say(f"cannot write the report {path}: {error.strerror}")
        return EXIT_FAILED
    return _EXIT_OK


def _verdict(report: Report) -> int:
    if report.error is not None:
        _say(f"stopped before the end: {report.error}")
        return EXIT_FAILED
    return _EXIT_OK if report.complete else _EXIT_REJECTS


# The advice at the end of a line may name many files.
_LONGEST_LINE = 8_000


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody is there to read it
        print(f"restore: {safe(clipped(line, _LONGEST_LINE))}", file=sys.stderr)


def _check_writable(path: Path | None) -> None:
    """See before a long restore that its report can be written after it.

    Raises:
        UsageError: it cannot.
    """
    if path is None:
        return
    there = path.exists()
    try:
        path.open("ab").close()
        if not there:
            path.unlink()
    except OSError as error:
        raise UsageError(f"cannot write the report {path}: {error.strerror}") from error


def _tolerate_narrow_encodings() -> None:
    """Have a name that a stream's encoding lacks come out escaped, and not stop the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def start() -> int:
    """Run the command as a process of its own."""
    _hide_password()
    return main()


def _hide_password() -> None:
    """Start this process anew if its command line, which everyone can see, holds a password.

    The new one has it in its environment, which only its user can see.
    """
    words = sys.orig_argv
    if os.name != "posix" or not any("--dsn" in word for word in words):
        return
    cleaned, password = _without_password(words)
    if password is not None and sys.executable:
        cleaned[0] = sys.executable  # Python finds its packages by it
        os.execve(sys.executable, cleaned, {**os.environ, "PGPASSWORD": password})  # noqa: S606 - ourselves


def _without_password(words: list[str]) -> tuple[list[str], str | None]:
    cleaned, password = list(words), None
    for n, word in enumerate(words):
        start = "--dsn=" if word.startswith("--dsn=") else ""
        if not start and (n == 0 or words[n - 1] != "--dsn"):
            continue
        held = password_of(word.removeprefix(start))
        if held is not None:
            password = held
            cleaned[n] = start + without_password(word.removeprefix(start))
    return cleaned, password
