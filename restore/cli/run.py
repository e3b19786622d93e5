"""Runs what a command line asks for, and returns what to print."""

from __future__ import annotations

import gc
import inspect
import logging
import os
import sys
from typing import TYPE_CHECKING

import msgspec
import psycopg
from msgspec import Struct

from restore.cli.progress import open_display
from restore.cli.progress.question import asker
from restore.cli.settings import resolve
from restore.cli.signals import ProgressRecorder, SignalHandler
from restore.commands.restore import restore
from restore.errors import Interrupted, LoadError, RestoreError, UsageError
from restore.remote.path import RemotePath
from restore.remote.upload import check_writable, upload_bytes
from restore.report.model import Report
from restore.report.render import render
from restore.startup import EXIT_FAILED, GC_THRESHOLD, use_one_arena
from restore.text import escape_controls, pluralize

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from restore.cli.arguments import Arguments
    from restore.cli.settings import Settings
    from restore.remote.path import BackupPath

_EXIT_OK = 0
_EXIT_REJECTS = 3


class Outcome(Struct, frozen=True):
    """The exit code of a command, its output and its messages for standard error."""

    exit_code: int
    output: str = ""
    messages: tuple[str, ...] = ()


def run(arguments: Arguments, print_line: Callable[[str], None]) -> Outcome:
    """Run what the command line asks for.

    Args:
        arguments: the command line.
        print_line: prints a line of output while the command works.

    Raises:
        RestoreError: nothing was written, or the connection failed.
    """
    # psycopg warns of every connection that an interrupt ended; our own line says that.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    use_one_arena()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    gc.enable()
    with SignalHandler():
        try:
            if arguments.task == "schema":
                return Outcome(_EXIT_OK, report_schema())
            if arguments.task == "repair":
                return _repair(arguments, print_line)
            if arguments.task == "infer":
                return _infer(arguments)
            return _load(arguments)
        except psycopg.Error as error:
            # None should come here; a traceback would tell a user less.
            cause = " ".join(str(error).split()) or type(error).__name__
            raise LoadError(f"failed: {cause}; restore again") from error


def _repair(arguments: Arguments, print_line: Callable[[str], None]) -> Outcome:
    """Recreate what an unfinished restore has dropped.

    Raises:
        RestoreError: something could not be recreated, or the command line is not valid.
    """
    from restore.commands.repair import repair  # noqa: PLC0415 - few need it

    settings = resolve(arguments, os.environ)
    empty = arguments.given.get("empty") is True
    repair(settings.options, lambda line: print_line(escape_controls(line)), empty=empty)
    return Outcome(_EXIT_OK)


def _infer(arguments: Arguments) -> Outcome:
    """Infer the schema of a backup.

    Raises:
        RestoreError: the backup cannot be read, or the schema cannot be written.
    """
    from restore.commands.infer import infer  # noqa: PLC0415 - few need it

    settings = resolve(arguments, os.environ)
    _check_writable(settings.out, "the schema")
    try:
        with open_display(settings.progress, sys.stderr) as display:
            done = infer(settings.options, display, settings.sample)
    except KeyboardInterrupt:
        return Outcome(EXIT_FAILED, messages=("interrupted: nothing was written",))
    messages = [f"left out: {line}" for line in done.left_out] + done.warnings
    if done.unreadable:
        one = done.unreadable == 1
        are = f"{pluralize(done.unreadable, 'damaged piece')} {'is' if one else 'are'}"
        messages.append(f"{are} in no table of the schema")
    output = done.text.rstrip("\n")
    if settings.out is not None:
        _write(settings.out, done.text.encode())
        output = f"{pluralize(done.tables, 'table')} in {escape_controls(str(settings.out))}"
    elif not _can_print(done.text):
        raise UsageError("standard output is not in UTF-8, and names in the schema are: give --out")
    return Outcome(_EXIT_REJECTS if done.unreadable else _EXIT_OK, output, tuple(messages))


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _write(path: BackupPath, data: bytes) -> None:
    if isinstance(path, RemotePath):
        upload_bytes(data, path)
        return
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write the schema {path}: {error.strerror}") from error


def _load(arguments: Arguments) -> Outcome:
    """Restore a backup, or rejects.

    Raises:
        RestoreError: nothing was written.
    """
    is_retry = arguments.task == "retry"
    settings = resolve(arguments, os.environ)
    _check_writable(settings.report, "the report")
    recorder, report = _show_progress(settings, is_retry=is_retry)
    if report is None:
        return Outcome(EXIT_FAILED, messages=(recorder.state(settings.options, is_retry=is_retry),))
    failures = _write_report(settings.report, report)
    if report.upload_error is not None:
        failures = (*failures, report.upload_error)
    if report.error is not None:
        failures = (*failures, f"stopped before the end: {report.error}")
    code = _EXIT_OK if report.complete else _EXIT_REJECTS
    ignored = settings.options.unknown_fields == "ignore"
    output = render(report, unknown_fields=not ignored)
    return Outcome(EXIT_FAILED if failures else code, output, failures)


def _show_progress(settings: Settings, *, is_retry: bool) -> tuple[ProgressRecorder, Report | None]:
    """Restore and show progress; there is no report if it was interrupted.

    Raises:
        RestoreError: nothing was written.
    """
    with open_display(settings.progress, sys.stderr) as display:
        recorder, options = ProgressRecorder(display), settings.options
        try:
            if is_retry:
                from restore.commands.retry import retry  # noqa: PLC0415 - few need it

                return recorder, retry(options.backup, options, recorder)
            return recorder, restore(options, recorder, asker())
        except KeyboardInterrupt as interrupt:
            if isinstance(interrupt, Interrupted):
                recorder.needs_repair = interrupt.needs_repair
                recorder.is_resumable = interrupt.resumable
            return recorder, None


def report_schema() -> str:
    """Return the JSON Schema of the report, as docs/report.schema.json has it."""
    schema = msgspec.json.schema(Report)
    for part in schema["$defs"].values():
        if "description" in part:
            part["description"] = inspect.cleandoc(part["description"])
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()


def _write_report(path: BackupPath | None, report: Report) -> tuple[str, ...]:
    """Write the report to a file if one is given; return a message if that fails."""
    if path is None:
        return ()
    try:
        data = _page(report) if path.suffix == ".html" else _json(report)
        if isinstance(path, RemotePath):
            upload_bytes(data, path)
        elif path.suffix == ".html":
            _write_private(path, data)
        else:
            path.write_bytes(data)
    except RestoreError as error:
        return (f"cannot write the report: {error}",)
    except OSError as error:
        return (f"cannot write the report {path}: {error.strerror}",)
    except msgspec.MsgspecError as error:
        return (f"cannot write the report {path}: a reject file was changed: {error}",)
    return ()


def _write_private(path: Path, data: bytes) -> None:
    """Write a file; a new one can be read by its owner alone, as rejects can.

    Raises:
        OSError: it cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with open(os.open(path, flags, 0o600), "wb") as file:  # noqa: PTH123 - of a descriptor
        file.write(data)


def _json(report: Report) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report)) + b"\n"


def _page(report: Report) -> bytes:
    """Return the report as HTML, with the first rejects of each reason.

    Raises:
        OSError: a reject file cannot be read.
        msgspec.MsgspecError: one is damaged.
    """
    from restore.rejects.firsts import first_rejects  # noqa: PLC0415 - few need it
    from restore.report.page import render_page  # noqa: PLC0415

    firsts = {place: first_rejects(table) for place, table in enumerate(report.tables)}
    return render_page(report, firsts).encode()


def _check_writable(path: BackupPath | None, what: str) -> None:
    """Raise before a long run if its result cannot be written to a file after it.

    Raises:
        UsageError: the file cannot be written.
    """
    if path is None:
        return
    if isinstance(path, RemotePath):
        check_writable(path)
        return
    is_new = not path.exists()
    try:
        path.open("ab").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise UsageError(f"cannot write {what} {path}: {error.strerror}") from error
