"""What is not JSON is refused by name, if it is more than damage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from restore.source.formats.format import FormatError
from restore.source.formats.json5 import FORMAT, JQ_STREAM
from restore.tests.formats.reading import found_in

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize(
    "data",
    [
        *(
            (CASES / name / "files/users.json").read_bytes()
            for name in ("json5-comments", "json5-trailing-commas", "json5-unquoted")
        ),
        b'[\n  /* first */ {"id": 1}]',
        b'[{"id": 1}, // one\n {"id": 2}]',
        b'{"id": 1} // one\n{"id": 2}\n',
        b"[{'id': 1, 'name': None}]",
        b"{'id': 1}\n{'id': 2}\n",
        b"[{$id: 1}]",
        b'# Hjson\n[{"id": 1}]',
        b'[{"id": 1, "tags": [1,],}, {"id": 2,},]',
    ],
)
def test_json5(data: bytes) -> None:
    assert FORMAT.detect(data)
    with pytest.raises(FormatError, match="convert it to JSON"):
        found_in(FORMAT, data)


@pytest.mark.parametrize(
    "data",
    [
        b'[["id"],1]\n[["name"],"Ann"]\n[["name"]]\n',
        b'[[0,"id"],1]\n[[0,"tags",0],"a"]\n',
        b'[\n  [\n    "id"\n  ],\n  1\n]\n[\n  [\n    "id"\n  ]\n]\n',
        b'[[0,"settings"],{}]\n[[0]]\n[[0]]\n',
    ],
)
def test_jq_stream(data: bytes) -> None:
    assert JQ_STREAM.detect(data)
    with pytest.raises(FormatError, match="fromstream"):
        found_in(JQ_STREAM, data)


@pytest.mark.parametrize(
    "data",
    [
        b'[{"id": 1, "url": "http://x/*y*/", "a": "{b: 1,}"}, {"id": 2}]',
        b'[{"id": 1,}, {"id": 2}]',  # one damaged record
        b'[{"id": 1}, {"id": 2},]',
        b"[[1, 2], [3, 4]]",
        b'[["a", 1], ["b", 2]]',
        b'[[["a"], 1]]',
        b'{"id": 1}\n{"id": 2}\n',
        b'{"id": 1, "a": NaN}',
        json.dumps([{"a": [[1], 2]}], indent=2).encode(),
        b"[]",
        b"",
    ],
)
def test_json(data: bytes) -> None:
    assert not FORMAT.detect(data)
    assert not JQ_STREAM.detect(data)
