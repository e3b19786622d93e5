"""The command line: what can be written on it, and what was."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

from restore.cli import help_texts
from restore.cli.option_values import PROGRESS
from restore.errors import UsageError
from restore.options import DEFAULT_CHUNK_BYTES
from restore.target import dsn
from restore.text import program, safe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from restore.cli.settings import Given


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a command line says. ``given`` holds the options that stand on it and no others."""

    task: Literal["restore", "retry", "repair", "schema"]
    path: Path
    given: dict[str, Given]


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print over several lines."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{dsn.hide_secrets(safe(message))}; --help shows what can be given")


class _Version(argparse.Action):
    """Looks the version up only where it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from restore.version import version  # noqa: PLC0415 - only this needs it

        print(f"restorebench {version()}")  # noqa: T201 - as --help prints
        parser.exit()


def parse(words: Sequence[str]) -> Arguments:
    """Read a command line; ``--help`` and ``--version`` print and end the process.

    Raises:
        UsageError: it makes no sense.
    """
    named = words[0] if words and words[0] in _PARSERS else ""
    parser = _PARSERS[named]() if named else _restore_parser()
    namespace, surplus = parser.parse_known_args(words[1:] if named else words)
    given = vars(namespace)
    if surplus:
        raise UsageError(_surplus(surplus, parser))
    if given.pop("report_schema", False):
        return Arguments("schema", Path(), {})
    if named == "repair":
        return Arguments("repair", Path(), given)
    path = given.pop("path", None)
    name = "REJECTS" if named else "BACKUP"
    if path is None:
        raise UsageError(f"{name} is missing: {parser.prog} {name} --dsn URL; --help tells more")
    if dsn.looks_like_one(path):
        raise UsageError(f"a connection string stands in the place of {name}: write it after --dsn")
    return Arguments("retry" if named else "restore", Path(path), given)


def _surplus(words: list[str], parser: argparse.ArgumentParser) -> str:
    flags = [word.partition("=")[0] for word in words if word.startswith("-")]
    if not flags:
        word = "another word" if dsn.looks_like_one(words[0]) else repr(safe(words[0]))
        return f"{word} is one too many: no more than one path is taken, and options begin with --"
    import difflib  # noqa: PLC0415 - only a slip of the finger needs it

    known = [flag for action in parser._actions for flag in action.option_strings]  # noqa: SLF001 - argparse offers no list
    close = difflib.get_close_matches(flags[0], known, n=1)
    hint = f"did you mean {close[0]}?" if close else "--help lists the options"
    return f"there is no option {dsn.hide_secrets(safe(flags[0]))}: {hint}"


def _new_parser(name: str, description: str, *path: str) -> _Parser:
    parser = _Parser(
        prog=name,
        usage=" ".join(["%(prog)s", *path, "[options]"]),
        description=description,
        epilog=help_texts.EXAMPLES.format(program()) + "\n" + help_texts.EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say which version this is")
    return parser


def _restore_parser() -> _Parser:
    parser = _new_parser(program(), help_texts.DESCRIPTION.format(program()), "BACKUP")
    parser.add_argument("path", nargs="?", metavar="BACKUP", help="what to restore")
    text = "print the JSON Schema of the report"
    parser.add_argument("--report-schema", action="store_true", help=text)
    _add_schema(_add_target(parser))
    _add_choice_of_tables(parser, retry=False)
    _add_rows_there(parser)
    _add_records(parser)
    _add_work(parser, retry=False)
    _add_told(parser)
    return parser


def _retry_parser() -> _Parser:
    parser = _new_parser(f"{program()} retry", help_texts.RETRY_DESCRIPTION, "REJECTS")
    parser.add_argument("path", nargs="?", metavar="REJECTS", help="what to restore")
    _add_schema(_add_target(parser))
    _add_choice_of_tables(parser, retry=True)
    _add_on_conflict(parser.add_argument_group("rows that are there").add_argument)
    _add_records(parser)
    _add_work(parser, retry=True)
    _add_told(parser)
    return parser


def _repair_parser() -> _Parser:
    parser = _new_parser(f"{program()} repair", help_texts.REPAIR_DESCRIPTION)
    parser.set_defaults(empty=False)
    text = (
        "empty the tables whose indexes or keys are aside first, and no others: for when rows of"
        " the restore that did not end are in the way"
    )
    parser.add_argument("--empty", action="store_true", help=text)
    add = _add_target(parser)
    _add_lock_timeout(add)
    _add_jobs(add)
    return parser


_PARSERS = {"retry": _retry_parser, "repair": _repair_parser}


def _flag(add: Callable[..., object], name: str, text: str) -> None:
    add(name, action=argparse.BooleanOptionalAction, help=text)


def _add_target(parser: _Parser) -> Callable[..., object]:
    group = parser.add_argument_group("where to")
    group.add_argument(
        "--dsn",
        metavar="URL",
        help="postgresql://user@host/database, or service=NAME; empty: what libpq's PG* variables"
        " say. The password is better in PGPASSWORD or a password file (default: $RESTORE_DSN,"
        " $DATABASE_URL, then libpq's variables)",
    )
    group.add_argument(
        "--config",
        metavar="FILE",
        help="a TOML file with [tool.restore] (default: restore.toml or pyproject.toml here)",
    )
    return group.add_argument


def _add_schema(add: Callable[..., object]) -> None:
    add("--schema", metavar="S", help="the tables' schema (default: what the search path finds)")


def _add_choice_of_tables(parser: _Parser, *, retry: bool) -> None:
    add = parser.add_argument_group(
        "which tables; several with commas, or the option again"
    ).add_argument
    add("--tables", action="append", metavar="T", help="these and no others")
    add("--exclude", action="append", metavar="T", help="all but these")
    if not retry:
        add(
            "--map",
            action="append",
            metavar="FILE=TABLE",
            help="the table that a file is for: users.json=public.app_users",
        )


def _add_rows_there(parser: _Parser) -> None:
    group = parser.add_argument_group("rows that are there")
    _flag(group.add_argument, "--clean", "empty the backup's tables first")
    _flag(group.add_argument, "--cascade", "with --clean: also the tables that refer to them")
    _flag(group.add_argument, "--append", "load beside the rows that the tables hold")
    _add_on_conflict(group.add_argument)
    _flag(group.add_argument, "--atomic", "all or nothing: one transaction, with one process")
    _flag(group.add_argument, "--resume", "go on with a restore that did not end, if there is one")
    _flag(group.add_argument, "--dry-run", "do all but write, and say what would happen")


def _add_on_conflict(add: Callable[..., object]) -> None:
    add(
        "--on-conflict",
        metavar="reject|skip|replace",
        help="what becomes of a record whose key is in the table already (default: reject)",
    )


def _add_records(parser: _Parser) -> None:
    group = parser.add_argument_group("records that do not fit")
    group.add_argument(
        "--rejects",
        metavar="DIR",
        help="where records go that could not be restored (default: a new folder in rejects/)",
    )
    group.add_argument(
        "--max-rejects", metavar="N|P%", help="stop when there are more (default: never)"
    )
    group.add_argument(
        "--on-error", metavar="continue|stop", help="stop at the first reject (default: continue)"
    )
    group.add_argument(
        "--unknown-fields",
        metavar="error|ignore|warn",
        help="what a field is that no column takes (default: warn)",
    )
    group.add_argument(
        "--timezone", metavar="ZONE", help="the zone of times without one (default: UTC)"
    )


def _add_work(parser: _Parser, *, retry: bool) -> None:
    group = parser.add_argument_group("how it works")
    _flag(group.add_argument, "--triggers", "let the tables' own triggers fire during the load")
    if not retry:
        _flag(group.add_argument, "--keep-indexes", "leave indexes and keys in place meanwhile")
        group.add_argument(
            "--retry-for",
            metavar="SECONDS",
            help="how long to wait for a server that went away, and go on then (default: 60)",
        )
    group.add_argument(
        "--batch-size", metavar="N|auto", help="records sent at a time (default: auto, by bytes)"
    )
    group.add_argument(
        "--chunk-bytes",
        metavar="N",
        help=f"bytes decoded at a time, which bounds memory (default: {DEFAULT_CHUNK_BYTES:,})",
    )
    _add_lock_timeout(group.add_argument)
    group.add_argument(
        "--without",
        metavar="NAME",
        action="append",
        help="leave a technique out: batches, streaming, typed, copy, binary, native",
    )
    _add_jobs(group.add_argument)


def _add_lock_timeout(add: Callable[..., object]) -> None:
    add("--lock-timeout", metavar="SECONDS", help="how long to wait for a lock (default: 60)")


def _add_jobs(add: Callable[..., object]) -> None:
    add("--jobs", metavar="N", help="processes (default: one for each processor, at most 8)")


def _add_told(parser: _Parser) -> None:
    add = parser.add_argument_group("what you are told").add_argument
    add("--report", metavar="FILE", help="write the report as JSON")
    add(
        "--progress",
        metavar="|".join(PROGRESS),
        help="bars, plain lines or nothing (default: bars on a terminal, else lines)",
    )
