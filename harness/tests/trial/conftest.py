"""A dataset so small that its ground truth is written by hand, and an engine to restore it with."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.engines.engine import Engine
from harness.model import manifest
from harness.trial.attempt import TrialContext
from harness.trial.meter import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.servers import RunningServer

SMALL_ENGINE = Path(__file__).with_name("small_engine.py")
SCHEMA = """
CREATE TYPE mood AS ENUM ('calm', 'wild');
CREATE TABLE owners (
    id uuid PRIMARY KEY,
    "fullName" text NOT NULL,
    born timestamptz,
    mood mood,
    photo bytea,
    weight float8,
    tags text[],
    extra jsonb
);
CREATE TABLE pets (
    id bigint PRIMARY KEY,
    owner uuid REFERENCES owners,
    price numeric(8,2),
    -- Their texts depend on settings of the session.
    born date,
    fed timestamptz[],
    weights float8[]
);
CREATE TABLE journal (entry text);
"""
ANN = "00000000-0000-0000-0000-000000000001"
BEN = "00000000-0000-0000-0000-000000000002"
OWNERS: list[dict[str, Any]] = [
    {
        "id": ANN,
        "fullName": 'Ann "the \\ first" Ünal',
        "born": "1969-12-31T23:59:59.500Z",
        "mood": "wild",
        "photo": "\\xdeadbeef",
        "weight": 0.1,
        "tags": ["a", None, ""],
        "extra": {"b": [1, 2], "aa": None},
    },
    {
        "id": BEN,
        "fullName": "",
        "born": None,
        "mood": None,
        "photo": None,
        "weight": None,
        "tags": [],
        "extra": None,
    },
]
PETS: list[dict[str, Any]] = [
    {
        "id": 1,
        "owner": ANN,
        "price": "10.5",
        "born": "2020-02-01",
        "fed": ["2020-02-01T05:45:00+05:45"],
        "weights": [0.123],
    },
    {"id": 2, "owner": ANN, "price": None},
    {"id": 3, "owner": BEN, "price": "0"},
]
# What docs/interfaces.md makes of these rows, spelled out: it must not come from the code it tests.
# A cell is a type's object id and the bytes of a value, None for NULL.
TEXT, BYTEA, FLOAT8, FLOAT8_ARRAY, TIMESTAMPTZ = 25, 17, 701, 1022, 1184
Cell = tuple[int, bytes | None]
OWNERS_CELLS: list[list[Cell]] = [
    [
        (TEXT, ANN.encode()),
        (TEXT, 'Ann "the \\ first" Ünal'.encode()),
        (TIMESTAMPTZ, bytes.fromhex("fffca2fec4c07ee0")),  # half a second before 1970
        (TEXT, b"wild"),
        (BYTEA, b"\xde\xad\xbe\xef"),
        (FLOAT8, bytes.fromhex("3fb999999999999a")),
        (TEXT, b'{a,NULL,""}'),
        (TEXT, b'{"b": [1, 2], "aa": null}'),
    ],
    [
        (TEXT, BEN.encode()),
        (TEXT, b""),
        (TIMESTAMPTZ, None),
        (TEXT, None),
        (BYTEA, None),
        (FLOAT8, None),
        (TEXT, b"{}"),
        (TEXT, None),
    ],
]
# An array: its dimensions, no NULL in it, its type; one element from number 1, its length, itself.
ONE_WEIGHT = "00000001 00000000 000002bd 00000001 00000001 00000008 3fbf7ced916872b0"
PETS_CELLS: list[list[Cell]] = [
    [
        (TEXT, b"1"),
        (TEXT, ANN.encode()),
        (TEXT, b"10.50"),
        (TEXT, b"2020-02-01"),
        (TEXT, b'{"2020-02-01 00:00:00+00"}'),
        (FLOAT8_ARRAY, bytes.fromhex(ONE_WEIGHT)),
    ],
    [(TEXT, b"2"), (TEXT, ANN.encode()), *[(TEXT, None)] * 3, (FLOAT8_ARRAY, None)],
    [
        (TEXT, b"3"),
        (TEXT, BEN.encode()),
        (TEXT, b"0.00"),
        *[(TEXT, None)] * 2,
        (FLOAT8_ARRAY, None),
    ],
]
OWNERS_FORMS = {
    "id": "text",
    "fullName": "text",
    "born": "timestamptz",
    "mood": "text",
    "photo": "bytea",
    "weight": "float8",
    "tags": "text",
    "extra": "text",
}
PETS_FORMS = {
    "id": "text",
    "owner": "text",
    "price": "text",
    "born": "text",
    "fed": "text",
    "weights": "float8[]",
}


def row_hash(cells: list[Cell]) -> bytes:
    """Return the hash of a row."""
    row = struct.pack(">i", len(cells))
    for type_oid, data in cells:
        row += struct.pack(">Ii", type_oid, -1 if data is None else len(data)) + (data or b"")
    return hashlib.sha256(row).digest()


def checksum(rows: list[list[Cell]]) -> str:
    """Return the checksum of rows: of each quarter of their hashes, the sum's last 64 bits."""
    hashes = [struct.unpack(">4Q", row_hash(row)) for row in rows]
    return "".join(f"{sum(quarter) % 2**64:016x}" for quarter in zip(*hashes, strict=True))


def _table(
    name: str, records: int, rows: list[list[Cell]], forms: dict[str, str]
) -> dict[str, object]:
    return {
        "table": name,
        "file": f"{name}.json",
        "records": records,
        "bytes": 0,
        "rows": len(rows),
        "checksum": checksum(rows),
        "columns": [{"name": column, "form": form} for column, form in forms.items()],
    }


def write_dataset(folder: Path, *, damaged: int = 0) -> Path:
    """Write the dataset, with so many pets at its end that belong to nobody."""
    folder.mkdir()
    orphans = [{"id": 100 + n, "owner": "no uuid", "price": None} for n in range(damaged)]
    (folder / "schema.sql").write_text(SCHEMA)
    (folder / "owners.json").write_text(json.dumps(OWNERS))
    pets = json.dumps([*PETS, *orphans])
    (folder / "pets.json").write_text(pets)
    truth = {
        "schema": 2,
        "generator": "hand",
        "scenario": "pets",
        "rows": 5,
        "seed": 0,
        "faults": "orphans" if damaged else "none",
        "style": "compact",
        "compress": "none",
        "json_bytes": 0,
        "tables": [
            _table("owners", 2, OWNERS_CELLS, OWNERS_FORMS),
            _table("pets", 3 + damaged, PETS_CELLS, PETS_FORMS),
        ],
        "damage": [
            {
                "table": "pets",
                "ordinal": 3 + n,
                "damage": "wrong_type",
                "field": "owner",
                "restorable": False,
                "offset": pets.index(json.dumps(orphan)),
                "sha256": hashlib.sha256(json.dumps(orphan).encode()).hexdigest(),
            }
            for n, orphan in enumerate(orphans)
        ],
    }
    (folder / "manifest.json").write_text(json.dumps(truth))
    hashes = [row_hash(row)[:8] for row in (*OWNERS_CELLS, *PETS_CELLS)]
    (folder / "rows.sha256").write_bytes(b"".join(hashes))
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Return a dataset without damage."""
    return write_dataset(tmp_path / "20240101_000000")


@pytest.fixture
def damaged_dataset(tmp_path: Path) -> Path:
    """Return a dataset with two records that cannot be restored."""
    return write_dataset(tmp_path / "20240102_000000", damaged=2)


@pytest.fixture
def small_engine() -> Callable[..., Engine]:
    """Return what makes a real engine that restores, then does what it is told to."""

    def make(*behaviour: str, keeps_rejects: bool = False) -> Engine:
        return Engine(
            name="small",
            template=(
                *(sys.executable, str(SMALL_ENGINE), "{backup}", "{dsn}", "{rejects}"),
                *behaviour,
            ),
            keeps_rejects=keeps_rejects,
        )

    return make


@pytest.fixture
def context_of(server: RunningServer) -> Callable[..., TrialContext]:
    """Return what sets a stage for the trials of a dataset."""

    def make(
        backup: Path, *, timeout_s: float = 60, memory_bytes: int | None = None
    ) -> TrialContext:
        return TrialContext(
            server=server,
            backup=backup,
            manifest=manifest.load(backup),
            limits=Limits(timeout_s, memory_bytes),
        )

    return make
