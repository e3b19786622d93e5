"""The table of options: the command line, its help, the settings and docs/restore.md follow it."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from restore.cli.option_values import (
    BATCH_SIZE,
    CONNECTION,
    COUNT,
    FLAG,
    MAP,
    MAP_COLUMN,
    MAX_REJECTS,
    NAMES,
    PATH,
    SECONDS,
    TEXT,
    UNITS,
    ValueType,
    choice,
)
from restore.options import (
    DEFAULT_CHUNK_BYTES,
    AbsentFields,
    Bytea,
    Fraction,
    JsonStrings,
    NameMatch,
    Nul,
    NullOrReject,
    OnConflict,
    OnError,
    UnknownFields,
)

Command = Literal["restore", "retry", "repair", "infer"]
ProgressForm = Literal["auto", "bar", "plain", "none"]

RESTORE: frozenset[Command] = frozenset({"restore"})
LOADING: frozenset[Command] = frozenset({"restore", "retry"})
REPAIR: frozenset[Command] = frozenset({"repair"})
INFER: frozenset[Command] = frozenset({"infer"})


class Option(NamedTuple):
    """One option of the command line.

    Attributes:
        name: its name with ``_``, as in :class:`restore.options.Options` but for a unit.
        value: what it takes.
        metavar: what stands for the value in help and docs.
        help: what it does.
        default: what holds without it, for help and docs.
        commands: the commands that have it.
        is_setting: the environment and TOML files may hold it too.
        is_for_command: the command uses it itself; it is not passed on in ``Options``.
    """

    name: str
    value: ValueType
    metavar: str
    help: str
    default: str = ""
    commands: frozenset[Command] = LOADING
    is_setting: bool = True
    is_for_command: bool = False

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return "--" + self.name.replace("_", "-")

    @property
    def field(self) -> str:
        """Its field in ``Options``, which names the unit of seconds."""
        return f"{self.name}_s" if self.value is SECONDS else self.name


def _flag(name: str, text: str, commands: frozenset[Command] = RESTORE) -> Option:
    return Option(name, FLAG, "", text, commands=commands)


def _choice(name: str, choices: tuple[str, ...], text: str, default: str) -> Option:
    return Option(name, choice(choices), "|".join(choices), text, default)


GROUPS: dict[str, tuple[Option, ...]] = {
    "target": (
        Option(
            "dsn",
            CONNECTION,
            "URL",
            "postgresql://user@host/database, host=... dbname=... or service=NAME; empty: use"
            " libpq's PG* variables. Keep the password in PGPASSWORD or a password file",
            "$RESTORE_DSN, $DATABASE_URL, then libpq's variables",
            LOADING | REPAIR,
        ),
        Option(
            "config",
            PATH,
            "FILE",
            "a TOML file with a table [tool.restore]",
            "restore.toml or pyproject.toml in the current folder",
            LOADING | REPAIR | INFER,
            is_setting=False,
            is_for_command=True,
        ),
        Option("schema", TEXT, "S", "the schema of the tables", "the search path", LOADING | INFER),
    ),
    "tables (separate several by commas, or repeat the option)": (
        Option("tables", NAMES, "T", "restore only these tables", "all", LOADING | INFER),
        Option("exclude", NAMES, "T", "leave these tables out", "none", LOADING | INFER),
        Option(
            "map",
            MAP,
            "FILE=TABLE",
            "load a file, or a key of a file with several tables, into this table:"
            " users.json=public.app_users",
            "the table of the file's name",
            RESTORE | INFER,
        ),
        Option(
            "format",
            TEXT,
            "NAME",
            "read the files as this format, of those in docs/formats.md; records: JSON records",
            "recognised by what the files hold",
            RESTORE | INFER,
        ),
        Option(
            "map_column",
            MAP_COLUMN,
            "TABLE.FIELD=COLUMN",
            "load a field of a table's records into this column: users.isActive=is_active",
            "the column of the field's name",
            LOADING | INFER,
        ),
        _choice(
            "match",
            get_args(NameMatch),
            "how names of files and fields find tables and columns: also without regard to case,"
            " snake_case, plurals and what tools add to names, or as they are",
            "loose",
        ),
    ),
    "existing rows": (
        _flag("clean", "empty the backup's tables first, and no others"),
        _flag("cascade", "with --clean, empty also the tables that refer to them"),
        _flag("append", "load beside the rows that the tables hold"),
        _choice(
            "on_conflict",
            get_args(OnConflict),
            "with --append, what to do with a record whose key exists: reject it, skip it, or"
            " replace the row",
            "reject",
        ),
        _flag("atomic", "all or nothing: one transaction on one connection"),
        _flag("resume", "continue an unfinished restore, if there is one"),
        _flag("dry_run", "do everything but write, and report what would happen"),
    ),
    "records that cannot be loaded": (
        Option(
            "rejects",
            PATH,
            "DIR",
            "the folder for records that could not be restored",
            "a new folder in rejects/",
        ),
        Option("max_rejects", MAX_REJECTS, "N|P%", "stop if there are more rejects", "never"),
        _choice("on_error", get_args(OnError), "what to do at the first reject", "continue"),
        _choice(
            "unknown_fields",
            get_args(UnknownFields),
            "what to do with a field that has no column: stop, or leave it out without or with a"
            " warning",
            "warn",
        ),
        _choice(
            "absent_fields",
            get_args(AbsentFields),
            "what a column that has a default and may be NULL holds if a record lacks its field",
            "auto, NULL if the file seems to leave out all nulls, else the default",
        ),
    ),
    "values": (
        Option("timezone", TEXT, "ZONE", "the zone of times that have none", "UTC"),
        Option(
            "epoch",
            UNITS,
            "UNIT",
            "the unit of numbers in columns of times (since 1970) and intervals: s, ms, us or ns;"
            " users.born=ms for one column",
            "inferred from the first records, or asked for",
        ),
        Option("date_format", TEXT, "FORMAT", "dates are written so: DD/MM/YYYY", "YYYY-MM-DD"),
        _choice(
            "json_strings",
            get_args(JsonStrings),
            "strings in json and jsonb columns: parse them as documents, or keep them as strings",
            "auto, parse if all of the first ones hold an object or an array",
        ),
        _choice(
            "bytea",
            get_args(Bytea),
            "text in bytea columns that may be hex or base64",
            "auto, inferred from the first records, or asked for",
        ),
        _choice(
            "nul",
            get_args(Nul),
            "the character NUL in a text: reject the record, remove it, or replace it by U+FFFD",
            "reject",
        ),
        _choice(
            "empty_string",
            get_args(NullOrReject),
            "empty strings in non-text columns: reject what the type refuses, or load NULL",
            "reject",
        ),
        _choice(
            "zero_date",
            get_args(NullOrReject),
            "MySQL's date 0000-00-00: reject the record, or load NULL",
            "reject",
        ),
        _choice(
            "fraction",
            get_args(Fraction),
            "more digits of a second than a column keeps: reject the record, or round them",
            "reject",
        ),
    ),
    "loading": (
        _flag("triggers", "let the tables' own triggers fire", LOADING),
        _flag("keep_indexes", "keep indexes and unique keys in place"),
        Option(
            "batch_size",
            BATCH_SIZE,
            "N|auto",
            "records sent at a time",
            "auto, as many as --chunk-bytes holds",
        ),
        Option(
            "chunk_bytes",
            COUNT,
            "N",
            "bytes of a file decoded at a time, which bounds memory",
            f"{DEFAULT_CHUNK_BYTES:,}",
            LOADING | INFER,
        ),
        Option(
            "retry_for",
            SECONDS,
            "SECONDS",
            "how long to wait for a lost server before the restore stops",
            "60",
            RESTORE,
        ),
        Option(
            "lock_timeout",
            SECONDS,
            "SECONDS",
            "how long to wait for a lock that another session holds",
            "60",
            LOADING | REPAIR,
        ),
        Option(
            "jobs",
            COUNT,
            "N",
            "connections that work in parallel",
            "one for each processor, at most 8; of a Dask cluster, one for each thread",
            LOADING | REPAIR,
        ),
        Option(
            "executor",
            TEXT,
            "NAME",
            "what loads: threads, the workers of a Dask cluster (dask://HOST:PORT, tls://HOST:PORT),"
            " or workers started for it (dask)",
            "threads",
            RESTORE,
        ),
        Option(
            "empty",
            FLAG,
            "",
            "first empty the tables whose indexes or keys are dropped, and no others",
            commands=REPAIR,
            is_setting=False,
            is_for_command=True,
        ),
    ),
    "output": (
        Option(
            "report",
            PATH,
            "FILE",
            "write the report as JSON; as a page, if it is named .html",
            "no",
            is_for_command=True,
        ),
        Option(
            "progress",
            choice(get_args(ProgressForm)),
            "|".join(get_args(ProgressForm)),
            "show bars, plain lines or nothing",
            "auto, bars on a terminal and lines elsewhere",
            LOADING | INFER,
            is_for_command=True,
        ),
    ),
    "no schema yet": (
        _flag("create", "create the backup's tables, none of which exists, as infer shows them"),
        Option(
            "out",
            PATH,
            "FILE",
            "write the schema to this file",
            "standard output",
            INFER,
            is_setting=False,
            is_for_command=True,
        ),
        Option(
            "sample",
            COUNT,
            "N",
            "look at the first N records of each table only",
            "at all",
            INFER,
            is_setting=False,
            is_for_command=True,
        ),
    ),
}
OPTIONS = {option.name: option for group in GROUPS.values() for option in group}
