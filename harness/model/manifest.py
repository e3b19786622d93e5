"""The ground truth of a dataset, read from its ``manifest.json`` (``docs/interfaces.md``)."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import msgspec

from harness.model.errors import InputError
from harness.model.record import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MANIFEST = "manifest.json"
SCHEMA_SQL = "schema.sql"
# The first eight bytes of each row's hash, table after table in the manifest's order.
ROW_HASHES = "rows.sha256"
ROW_HASH_BYTES = 8
# What of a dataset's folder an engine must not see.
TRUTH = (MANIFEST, SCHEMA_SQL, ROW_HASHES)
# 2: checksums of all columns in PostgreSQL's binary format, and the hash of each row.
SCHEMA_VERSION = 2

# The type in whose binary format a column is hashed (docs/interfaces.md).
Form = Literal[
    "text", "bytea", "float4", "float8", "float4[]", "float8[]", "timestamp", "timestamptz"
]

_LANE = 1 << 64


class Column(msgspec.Struct, frozen=True):
    """A column that is part of the checksum, and the type that it is hashed as."""

    name: str
    form: Form


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the dataset: its file, and the rows that a perfect restore loads."""

    schema: str = "public"
    table: str
    file: str
    records: int
    bytes: int
    rows: int
    checksum: str
    columns: tuple[Column, ...]

    @property
    def name(self) -> tuple[str, str]:
        """Return its schema and its name."""
        return self.schema, self.table


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """A damaged record; ``ordinal`` is None for damage between records.

    ``offset`` is its first byte in the (decompressed) file, ``sha256`` the hash of its bytes.
    """

    table: str
    ordinal: int | None
    damage: str
    field: str | None = None
    restorable: bool
    offset: int | None = None
    sha256: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A dataset's arguments, its tables (parents first), and every damaged record.

    Of an adopted backup, ``files`` has the SHA-256 of each file, ``content`` that of all, and
    ``unverified`` the columns that are not compared, each with the reason.
    """

    schema: int
    generator: str
    scenario: str
    rows: int
    seed: int
    faults: str
    style: str
    compress: str
    json_bytes: int
    tables: tuple[Table, ...]
    damage: tuple[Damage, ...] = ()
    content: str | None = None
    files: dict[str, str] = {}
    unverified: tuple[str, ...] = ()

    def dataset(self) -> Dataset:
        """Return the dataset as recorded in a run."""
        return Dataset(
            scenario=self.scenario,
            rows=self.rows,
            seed=self.seed,
            faults=self.faults,
            style=self.style,
            compress=self.compress,
            generator=self.generator,
            records=sum(table.records for table in self.tables),
            json_bytes=self.json_bytes,
            content=self.content,
        )

    @cached_property
    def lost(self) -> tuple[Damage, ...]:
        """The records that no engine can restore."""
        return tuple(damage for damage in self.damage if not damage.restorable)

    def lost_records(self, table: str) -> dict[int, Damage]:
        """Return a table's records that no engine can restore, by their ordinals."""
        return {
            damage.ordinal: damage
            for damage in self.lost
            if damage.table == table and damage.ordinal is not None
        }

    def is_torn(self, table: str) -> bool:
        """Return whether a table's file has damage that is in no record."""
        return any(damage.table == table and damage.ordinal is None for damage in self.damage)


def checksum_text(sums: Iterable[int]) -> str:
    """Return the checksum of a table: the sums of the four quarters of its rows' hashes."""
    return "".join(f"{total % _LANE:016x}" for total in sums)


def row_hashes(folder: Path, manifest: Manifest, table: str) -> bytes:
    """Return the first eight bytes of the hash of each of a table's rows, from the ground truth.

    Raises:
        InputError: the file is missing or too short.
    """
    path = folder / ROW_HASHES
    start = 0
    for one in manifest.tables:
        size = one.rows * ROW_HASH_BYTES
        if one.table == table:
            break
        start += size
    try:
        with path.open("rb") as file:
            file.seek(start)
            found = file.read(size)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if len(found) < size:
        raise InputError(f"{path} is too short; generate the dataset again")
    return found


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def check_unchanged(folder: Path, manifest: Manifest) -> None:
    """Check that the files of an adopted backup, which are only linked, are what they were.

    Raises:
        InputError: one has changed or is gone.
    """
    for name, expected in manifest.files.items():
        if file_hash(folder / name) != expected:
            raise InputError(f"{folder / name} has changed since it was adopted; adopt it again")


def load(folder: Path) -> Manifest:
    """Read the ground truth of the dataset in ``folder``.

    Raises:
        InputError: there is none, or this program cannot read it.
    """
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} is not a dataset: it has no {MANIFEST}; make one with: "
            "python -m harness generate --rows 100000 --out DIR"
        ) from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise InputError(
            f"{path} is not a valid manifest: {error}; generate the dataset again"
        ) from error
    if manifest.schema != SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema {manifest.schema}, and this program reads {SCHEMA_VERSION}; "
            "generate the dataset again"
        )
    _check(manifest, path)
    return manifest


def _check(manifest: Manifest, path: Path) -> None:
    """Refuse an inconsistent ground truth: every verdict is based on it."""
    for table in manifest.tables:
        lost = len(manifest.lost_records(table.table))
        if table.records - table.rows != lost:
            raise InputError(
                f"{path} is inconsistent: {table.table} has {table.records} records and "
                f"{table.rows} rows, but {lost} damaged records that cannot be restored; "
                "generate the dataset again"
            )
