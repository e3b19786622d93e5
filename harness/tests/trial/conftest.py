"""A dataset so small that its ground truth is written by hand, and an engine to restore it with."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.engines.registry import Engine
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
# What docs/formats.md makes of these rows, spelled out: it must not come from the code it tests.
OWNERS_TEXT = [
    [
        ANN,
        'Ann "the \\ first" Ünal',
        "-500000",
        "wild",
        "deadbeef",
        "3fb999999999999a",
        "3:a\x1e\\N\x1e",
        '{"b": [1, 2], "aa": null}',
    ],
    [BEN, "", *["\\N"] * 4, "0:", "\\N"],
]
PETS_TEXT = [
    ["1", ANN, "10.50", "2020-02-01", "1:2020-02-01 00:00:00+00", "1:0.123"],
    ["2", ANN, *["\\N"] * 4],
    ["3", BEN, "0.00", *["\\N"] * 3],
]
OWNERS_FORMS = {
    "id": "text",
    "fullName": "text",
    "born": "epoch_us",
    "mood": "text",
    "photo": "hex",
    "weight": "float8",
    "tags": "list",
    "extra": "text",
}
PETS_FORMS = {
    "id": "text",
    "owner": "text",
    "price": "text",
    "born": "text",
    "fed": "list",
    "weights": "list",
}


def checksum(rows: list[list[str]]) -> str:
    """Return the checksum of rows that are given as the texts of their columns."""
    digests = [hashlib.md5("\x1f".join(row).encode()).hexdigest() for row in rows]  # noqa: S324 - no secret
    return str(sum(int(digest[:15], 16) for digest in digests))


def _table(
    name: str, records: int, rows: list[list[str]], forms: dict[str, str]
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
    (folder / "pets.json").write_text(json.dumps([*PETS, *orphans]))
    truth = {
        "schema": 1,
        "generator": "hand",
        "scenario": "pets",
        "rows": 5,
        "seed": 0,
        "faults": "orphans" if damaged else "none",
        "style": "compact",
        "compress": "none",
        "json_bytes": 0,
        "tables": [
            _table("owners", 2, OWNERS_TEXT, OWNERS_FORMS),
            _table("pets", 3 + damaged, PETS_TEXT, PETS_FORMS),
        ],
        "damage": [
            {
                "table": "pets",
                "ordinal": 3 + n,
                "damage": "wrong_type",
                "field": "owner",
                "restorable": False,
            }
            for n in range(damaged)
        ],
    }
    (folder / "manifest.json").write_text(json.dumps(truth))
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
