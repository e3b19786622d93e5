"""The fault profile ``hostile``: hand-made files, each with something that breaks restores.

They are data, ``hostile.toml`` and ``hostile.sql`` of a scenario, in addition to the scenario's
own tables. Within them ``{{n}}`` is the record's ordinal, ``{{x*500}}`` an ``x`` 500 times, and
``{{bytes ff 00}}`` bytes.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from harness.generate import truth
from harness.generate.files import SUFFIXES, open_file
from harness.model import manifest
from harness.model.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.generate.scenario import Scenario

#: NULL in a record's ``text``.
NULL = r"\N"

_MACRO = re.compile(rb"\{\{(?:(n)|bytes ([0-9a-f ]+)|(.)\*(\d+))\}\}")


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    r"""A record, or ``times`` of them.

    Attributes:
        json: Its text in the file.
        text: The texts of its columns, ``\\N`` for NULL; None if it cannot be restored.
        case: Its damage, as in the manifest.
        field: The damaged field.
        times: How often it is repeated in the file.
    """

    json: str
    text: tuple[str, ...] | None = None
    case: str | None = None
    field: str | None = None
    times: int = 1


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file.

    Attributes:
        name: Its name without ``.json``, which is its table's.
        columns: The columns of its table with their forms; empty if there is no such table.
        torn: Damage outside of records, such as truncation.
    """

    name: str
    columns: dict[str, manifest.Form] = {}
    opening: str = "[\n"
    separator: str = ",\n"
    closing: str = "\n]\n"
    torn: str | None = None
    record: tuple[Record, ...] = ()


class Catalogue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The contents of ``hostile.toml``."""

    file: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class HostileTruth:
    """The ground truth of the files that were written."""

    tables: tuple[manifest.Table, ...]
    damage: tuple[manifest.Damage, ...]
    row_hashes: bytes = b""


class _Written(NamedTuple):
    """The ground truth of one file: its table, and the hashes of its rows as kept."""

    table: manifest.Table
    damage: tuple[manifest.Damage, ...]
    row_hashes: bytes


def load_hostile(scenario: Scenario) -> tuple[File, ...]:
    """Read the hostile files of a scenario.

    Raises:
        InputError: It has none, or they are invalid.
    """
    path = scenario.folder / "hostile.toml"
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Catalogue).file
    except FileNotFoundError:
        raise InputError(
            f"scenario {scenario.name} has no hostile.toml; choose another --faults"
        ) from None
    except (msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} is invalid: {error}") from None


def hostile_schema(scenario: Scenario) -> str:
    """Return the SQL for the tables of the hostile files."""
    return (scenario.folder / "hostile.sql").read_text("utf-8")


def write_hostile(files: tuple[File, ...], folder: Path, compress: str) -> HostileTruth:
    """Write the hostile files, and return the ground truth of those that have a table."""
    tables: list[manifest.Table] = []
    damage: list[manifest.Damage] = []
    hashes: list[bytes] = []
    for file in files:
        written = _write(file, folder, compress)
        if file.columns:
            tables.append(written.table)
            hashes.append(written.row_hashes)
            damage.extend(written.damage)
    return HostileTruth(tuple(tables), tuple(damage), b"".join(hashes))


def expand(text: str, ordinal: int) -> bytes:
    """Expand the macros in double braces."""

    def replace(found: re.Match[bytes]) -> bytes:
        number, data, char, times = found.groups()
        if number:
            return b"%d" % ordinal
        return bytes.fromhex(data.decode()) if data else char * int(times)

    return _MACRO.sub(replace, text.encode())


def each_record(file: File) -> Iterator[tuple[int, Record]]:
    """Yield every record with its ordinal."""
    ordinal = 0
    for record in file.record:
        for _ in range(record.times):
            yield ordinal, record
            ordinal += 1


def _write(file: File, folder: Path, compress: str) -> _Written:
    name = file.name + SUFFIXES[compress]
    records = size = 0
    hashes, kept = truth.RowHashes(), bytearray()
    damage: list[manifest.Damage] = []
    with open_file(folder / name, compress) as sink:
        size += sink.write(file.opening.encode())
        for ordinal, record in each_record(file):
            separator = file.separator.encode() if ordinal else b""
            data = expand(record.json, ordinal)
            if record.case is not None:
                damage.append(_damage(file, record, ordinal, size + len(separator), data))
            size += sink.write(separator + data)
            records += 1
            if record.text is not None:
                kept += hashes.add(
                    truth.digests([_cells(file, record.text, ordinal)], len(record.text))
                )
        size += sink.write(file.closing.encode())
    table = manifest.Table(
        table=file.name,
        file=name,
        records=records,
        bytes=size,
        rows=hashes.rows,
        checksum=hashes.checksum,
        columns=tuple(manifest.Column(*column) for column in file.columns.items()),
    )
    if file.torn is not None:
        damage.append(
            manifest.Damage(table=file.name, ordinal=None, damage=file.torn, restorable=False)
        )
    return _Written(table, tuple(damage), bytes(kept))


def _cells(file: File, texts: tuple[str, ...], ordinal: int) -> list[bytes]:
    """Return the values of a row in PostgreSQL's binary format."""
    return [
        truth.cells(form, [None if text == NULL else expand(text, ordinal).decode()])[0]
        for form, text in zip(file.columns.values(), texts, strict=True)
    ]


def _damage(file: File, record: Record, ordinal: int, offset: int, data: bytes) -> manifest.Damage:
    return manifest.Damage(
        table=file.name,
        ordinal=ordinal,
        damage=record.case or "",
        field=record.field,
        restorable=record.text is not None,
        offset=offset,
        sha256=hashlib.sha256(data).hexdigest(),
    )
