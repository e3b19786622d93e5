"""Rejects are compared with the damage of the dataset, record by record."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from harness.model import manifest
from harness.trial import rejects

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def lines(damaged_dataset: Path) -> list[dict[str, Any]]:
    """The rejects of the two records that cannot be restored."""
    text = (damaged_dataset / "pets.json").read_text()
    raws = [json.dumps(record) for record in json.loads(text)[3:]]
    return [
        {
            "table": "pets",
            "ordinal": 3 + n,
            "offset": text.index(raw),
            "message": "invalid",
            "raw": raw,
        }
        for n, raw in enumerate(raws)
    ]


def found(dataset: Path, folder: Path, lines: list[dict[str, Any]]) -> dict[str, str]:
    folder.mkdir()
    (folder / "pets.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    truth = manifest.load(dataset)
    return {table: str(one) for table, one in rejects.differences(folder, truth).items()}


def test_right_rejects_do_not_differ(
    damaged_dataset: Path, tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    assert found(damaged_dataset, tmp_path / "right", lines) == {}
    for line in lines:
        line["raw_base64"] = base64.b64encode(line.pop("raw").encode()).decode()
    assert found(damaged_dataset, tmp_path / "encoded", lines[::-1]) == {}
    spaced = [
        {**line, "raw": f" {base64.b64decode(line['raw_base64']).decode()}\n", "raw_base64": None}
        for line in lines
    ]
    for line in spaced:
        line["offset"] -= 1
    assert found(damaged_dataset, tmp_path / "spaced", spaced) == {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ordinal": 0}, "1 of 2 missing, 1 rejected that could be restored"),
        ({"ordinal": 4}, "1 of 2 missing, 1 rejected that could be restored"),
        ({"ordinal": None}, "1 of 2 missing, 1 rejected that could be restored"),
        ({"ordinal": 9}, "1 of 2 missing, 1 rejected that could be restored"),
        ({"offset": 0}, "0 of 2 missing, 0 rejected that could be restored, 1 with other bytes"),
        ({"offset": None}, "1 with other bytes"),
        ({"raw": "{}"}, "1 with other bytes"),
        ({"raw": None}, "1 with other bytes"),
        ({"raw": None, "raw_base64": "no base64"}, "1 with other bytes"),
        ({"message": ""}, "1 with other bytes, another offset or no message"),
        ({"table": "dogs"}, "1 of 2 missing"),
    ],
)
def test_a_reject_that_is_not_the_record_differs(
    damaged_dataset: Path,
    tmp_path: Path,
    lines: list[dict[str, Any]],
    change: dict[str, object],
    says: str,
) -> None:
    wrong = found(damaged_dataset, tmp_path / "rejects", [{**lines[0], **change}, lines[1]])
    assert says in wrong["pets"]
    if "table" in change:
        assert wrong["dogs"] == "rejects of a table that the dataset does not have"


def test_no_rejects_at_all_are_all_missing(damaged_dataset: Path, tmp_path: Path) -> None:
    assert found(damaged_dataset, tmp_path / "none", []) == {
        "pets": "rejects: 2 of 2 missing, 0 rejected that could be restored"
    }


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.mkdir(), "x.jsonl: not a regular file"),
        (os.mkfifo, "x.jsonl: not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "x.jsonl: not a regular file"),
        (lambda path: path.write_bytes(b'{"table": "\xff"}'), "x.jsonl line 1: "),
        (lambda path: path.write_text('{"x":' + "[" * 100_000), "x.jsonl line 1: "),
        (lambda path: path.write_text("{}\n"), "x.jsonl line 1: "),
    ],
)
def test_a_file_that_is_no_file_of_rejects_is_named(
    damaged_dataset: Path, tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    folder = tmp_path / "rejects"
    folder.mkdir()
    make(folder / "x.jsonl")
    with pytest.raises(ValueError, match=f"rejects: {says}"):
        rejects.differences(folder, manifest.load(damaged_dataset))
