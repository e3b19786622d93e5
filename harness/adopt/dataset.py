"""Writes the dataset of an adopted backup; its files are linked, never copied."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import re
import shutil
from typing import TYPE_CHECKING

import msgspec

from harness.adopt import reader, truth
from harness.generate.writer import locked
from harness.model import manifest
from harness.model.errors import HarnessError, InputError
from harness.trial import row_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from harness.adopt.catalog import Connection
    from harness.adopt.truth import LoadedTable
    from harness.servers import RunningServer

# Increased with each change of what a truth holds.
GENERATOR = "adopt-1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


def check_name(name: str) -> None:
    """Raise InputError if ``name`` cannot be a dataset's, which is a folder's too."""
    if not _NAME.fullmatch(name):
        raise InputError(f"--name {name}: write letters, digits, dots and dashes, 40 at most")


def adopt(
    backup: Path,
    schema_sql: str,
    server: RunningServer,
    out: Path,
    announce: Callable[[str], None],
) -> Path:
    """Make a dataset of a backup, and return its folder.

    Args:
        backup: a folder of table files, or one file.
        schema_sql: the schema of its target.
        server: a server for the scratch database.
        out: the dataset's parent, whose name is the dataset's; an older dataset there is replaced.
        announce: called with a line for each step.

    Raises:
        InputError: the backup or the schema cannot be adopted; the message says why.
        HarnessError: the server failed, or the folder cannot be written.
    """
    if not backup.exists():
        raise InputError(f"there is no backup at {backup}")
    lists = reader.sources(backup)
    paths = sorted({source.path for source in lists})
    before = {path.name: manifest.file_hash(path) for path in paths}
    with server.database(schema_sql) as dsn, _connect(server, dsn) as connection:
        tables = truth.load(connection, lists, announce)
        with locked(out), _replaced(out) as folder:
            described = [_describe(connection, table, folder) for table in tables]
            _link(paths, folder)
            (folder / manifest.SCHEMA_SQL).write_text(schema_sql, encoding="utf-8")
            made = _manifest(out.name, tables, described, before)
            text = msgspec.json.format(msgspec.json.encode(made), indent=2)
            (folder / manifest.MANIFEST).write_bytes(text + b"\n")
    manifest.check_unchanged(folder, made)
    for line in made.unverified:
        announce(f"not verified: {line}")
    return folder


@contextlib.contextmanager
def _connect(server: RunningServer, dsn: str) -> Iterator[Connection]:
    database = dsn.partition("?")[0].rpartition("/")[2]
    with server.connect(database) as connection:
        yield connection


@contextlib.contextmanager
def _replaced(out: Path) -> Iterator[Path]:
    """Provide a new folder in ``out``, in place of all that is there; removed if that fails."""
    folder = out / f"{dt.datetime.now(dt.UTC):%Y%m%d_%H%M%S}"
    try:
        for stale in out.iterdir():
            shutil.rmtree(stale)
        folder.mkdir()
        yield folder
    except OSError as error:
        raise HarnessError(f"cannot write to {out}: {error.strerror}") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _link(paths: Sequence[Path], folder: Path) -> None:
    """Link the backup's files: hard, or by name on another file system."""
    for path in paths:
        try:
            os.link(path.resolve(), folder / path.name)
        except OSError:
            (folder / path.name).symlink_to(path.resolve())


def _describe(connection: Connection, table: LoadedTable, folder: Path) -> manifest.Table:
    """Return the ground truth of a table, and append the hashes of its rows."""
    row_hash.prepare(connection)
    columns = [
        column
        for column in row_hash.columns_of(connection, table.name)
        if column.name not in table.unverified
    ]
    rows, checksum = row_hash.count_and_checksum(connection, table.name, columns)
    with (folder / manifest.ROW_HASHES).open("ab") as file:
        file.writelines(row_hash.row_hashes(connection, table.name, columns))
    with reader.open_file(table.source.path) as file:
        size = sum(len(chunk) for chunk in iter(lambda: file.read(1 << 20), b""))
    schema, name = table.name
    return manifest.Table(
        schema=schema,
        table=name,
        file=table.source.path.name,
        records=table.records,
        bytes=size,
        rows=rows,
        checksum=checksum,
        columns=tuple(columns),
    )


def _manifest(
    name: str,
    tables: Sequence[LoadedTable],
    described: Sequence[manifest.Table],
    hashes: dict[str, str],
) -> manifest.Manifest:
    damage = [damage for table in tables for damage in table.damage()]
    kinds = {reader.compression(table.source.path) for table in tables}
    sizes = {table.file: table.bytes for table in described}
    digest = hashlib.sha256(msgspec.json.encode(sorted(hashes.items())))
    return manifest.Manifest(
        schema=manifest.SCHEMA_VERSION,
        generator=GENERATOR,
        scenario=name,
        rows=sum(table.records for table in tables),
        seed=0,
        faults="as found" if damage else "none",
        style="as found",
        compress=kinds.pop() if len(kinds) == 1 else "mixed",
        json_bytes=sum(sizes.values()),
        tables=tuple(described),
        damage=tuple(damage),
        content=digest.hexdigest(),
        files=hashes,
        unverified=tuple(
            f"{table.title}.{column}: {why}"
            for table in tables
            for column, why in table.unverified.items()
        ),
    )
