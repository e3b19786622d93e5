"""Writes a dataset's files to a temporary folder, which is renamed when complete."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import msgspec

from harness.generate.block import STYLES, Piece
from harness.generate.files import SUFFIXES, open_file
from harness.generate.hostile import HostileTruth, hostile_schema, load_hostile, write_hostile
from harness.generate.pieces import make_pieces
from harness.generate.truth import RowHashes
from harness.model import manifest
from harness.model.errors import HarnessError, InputError

if TYPE_CHECKING:
    from harness.generate.plan import Plan
    from harness.generate.scenario import Table

#: Called with the number of records written since the last call.
Progress = Callable[[int], None]


def write_dataset(
    plan: Plan, out: Path, *, generator: str, makers: int | str, progress: Progress
) -> Path:
    """Write the dataset ``out/<stamp>`` and return its path.

    Raises:
        InputError: The path exists already.
        HarnessError: It could not be written.
    """
    final = out / plan.scenario.stamp
    _refuse_existing(final)
    try:
        with _temporary_folder(out, plan.scenario.stamp) as folder:
            _write_files(plan, folder, generator, makers, progress)
            _into_place(folder, final)
    except OSError as error:
        raise HarnessError(f"cannot write the dataset to {out}: {error.strerror}") from error
    return final


def _write_files(
    plan: Plan, folder: Path, generator: str, makers: int | str, progress: Progress
) -> None:
    schema, hostile = plan.scenario.schema(), HostileTruth((), ())
    if plan.spec.faults == "hostile":
        schema += hostile_schema(plan.scenario)
        hostile = write_hostile(load_hostile(plan.scenario), folder, plan.spec.compress)
    (folder / manifest.SCHEMA_SQL).write_text(schema, "utf-8")
    with (
        contextlib.closing(make_pieces(plan, makers)) as pieces,
        (folder / manifest.ROW_HASHES).open("wb") as hashes,
    ):
        damage: list[manifest.Damage] = []
        tables = [
            _write_table(_TableSink(plan, folder, hashes, damage), table, of_table, progress)
            for table, of_table in zip(plan.scenario.tables, pieces, strict=True)
        ]
        hashes.write(hostile.row_hashes)
    truth = _manifest(plan, generator, (*tables, *hostile.tables), (*damage, *hostile.damage))
    text = msgspec.json.format(msgspec.json.encode(truth), indent=2)
    (folder / manifest.MANIFEST).write_bytes(text + b"\n")


class _TableSink(NamedTuple):
    """Where a table goes: the dataset's folder, the file of its rows' hashes, and its damage."""

    plan: Plan
    folder: Path
    row_hashes: IO[bytes]
    damage: list[manifest.Damage]


def _write_table(
    to: _TableSink, table: Table, pieces: Iterator[Piece], progress: Progress
) -> manifest.Table:
    """Write one table's file and return its ground truth."""
    spec = to.plan.spec
    style, file = STYLES[spec.style], table.name + SUFFIXES[spec.compress]
    records = size = 0
    hashes = RowHashes()
    with open_file(to.folder / file, spec.compress) as sink:
        for piece in pieces:
            size += sink.write(style.separator if records else style.opening)
            to.damage.extend(_located(to.plan, table, piece, size))
            size += sink.write(piece.data)
            records += piece.records
            to.row_hashes.write(hashes.add(piece.digests))
            progress(piece.records)
        size += sink.write(style.closing if records else b"[]\n")
    return manifest.Table(
        table=table.name,
        file=file,
        records=records,
        bytes=size,
        rows=hashes.rows,
        checksum=hashes.checksum,
        columns=tuple(manifest.Column(one.name, one.form) for one in table.columns),
    )


def _located(plan: Plan, table: Table, piece: Piece, start: int) -> Iterator[manifest.Damage]:
    """Yield the damage of a piece that begins at ``start`` in its file."""
    for ordinal, (offset, sha256) in piece.damaged.items():
        damage = plan.damage[table.name][ordinal]
        yield msgspec.structs.replace(damage, offset=start + offset, sha256=sha256)


def _manifest(
    plan: Plan,
    generator: str,
    tables: tuple[manifest.Table, ...],
    damage: tuple[manifest.Damage, ...],
) -> manifest.Manifest:
    spec = plan.spec
    return manifest.Manifest(
        schema=manifest.SCHEMA_VERSION,
        generator=generator,
        scenario=spec.scenario,
        rows=spec.rows,
        seed=spec.seed,
        faults=spec.faults,
        style=spec.style,
        compress=spec.compress,
        json_bytes=sum(table.bytes for table in tables),
        tables=tables,
        damage=damage,
    )


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder; it is released when the process ends.

    Raises:
        HarnessError: The folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise HarnessError(f"cannot write to {folder}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _temporary_folder(out: Path, stamp: str) -> Iterator[Path]:
    """Make a locked folder beside the final one, and remove it at the end.

    A killed generator leaves its folder, but no lock: the next one removes it.
    """
    out.mkdir(parents=True, exist_ok=True)
    prefix = f".{stamp}.partial."
    for stale in out.glob(f"{prefix}*"):
        _remove_unlocked(stale)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=out))
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _remove_unlocked(folder: Path) -> None:
    """Remove a folder left by a killed generator; a running one holds its lock."""
    with contextlib.suppress(FileNotFoundError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(handle)


def _refuse_existing(final: Path) -> None:
    if final.exists():
        raise InputError(f"{final} exists already; name another --out, or remove it first")


def _into_place(folder: Path, final: Path) -> None:
    """Rename the complete folder, unless the name has been taken meanwhile."""
    try:
        folder.rename(final)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
            _refuse_existing(final)
        raise
