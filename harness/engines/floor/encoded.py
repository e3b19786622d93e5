"""What lies in the folder of an encoded dataset: which files hold the rows of which table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from harness.model.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

INDEX = "floor.json"

FORMAT_VERSION = 1
# Small enough for the connections to finish together, large enough that a file costs nothing: a
# million rows (430 MB) make 30.
PART_BYTES = 16 << 20
# What determines the files beside the dataset: a change of it makes another encoded dataset.
VERSION = f"{FORMAT_VERSION} {PART_BYTES}"


class Part(msgspec.Struct, frozen=True):
    """A whole binary COPY file, header and trailer included, of some rows in the table's order."""

    file: str
    bytes: int


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table: the columns in its files, in their order, and the files in the order of the rows."""

    schema: str
    table: str
    columns: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def bytes(self) -> int:
        """How much there is to send."""
        return sum(part.bytes for part in self.parts)


class Encoded(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of a dataset, parents first, those without a row included."""

    version: int = FORMAT_VERSION
    tables: tuple[Table, ...]


def save(folder: Path, encoded: Encoded) -> None:
    """Write what is in ``folder``; last, for it says that the folder is whole."""
    (folder / INDEX).write_bytes(msgspec.json.encode(encoded))


def load(folder: Path) -> Encoded:
    """Read what is in ``folder``.

    Raises:
        InputError: it is no encoded dataset, or one that this program cannot read.
    """
    path = folder / INDEX
    try:
        encoded = msgspec.json.decode(path.read_bytes(), type=Encoded)
    except OSError as error:
        raise InputError(f"{folder} is no encoded dataset: {INDEX}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise InputError(f"{path} is no index of an encoded dataset: {error}") from error
    if encoded.version != FORMAT_VERSION:
        raise InputError(
            f"{path} has version {encoded.version}, and this program reads {FORMAT_VERSION}"
        )
    return encoded
