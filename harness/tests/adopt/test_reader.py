"""The slow, exact reader: every layout, every digit, and nothing repaired."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from harness.adopt import reader
from harness.adopt.values import encode
from harness.model.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = ['{"id": 1, "n": 1.10}', '{"id": 2, "n": 1e400, "s": "é"}', '{"id": 3, "n": -0.0}']


def read(path: Path) -> list[str]:
    """Return the values, and see that each stands in its file where it is said to."""
    found = []
    for source in reader.sources(path):
        with reader.open_file(source.path) as file:
            content = file.read()
        for record in reader.records(source):
            raw = record.text.encode()
            assert content[record.offset : record.offset + len(raw)] == raw
            found.append(encode(record.value).replace("\\u00e9", "é"))
    return found


@pytest.mark.parametrize(
    "text",
    [
        "[" + ",".join(RECORDS) + "]",
        "\ufeff[\r\n  " + ",\n  ".join(RECORDS) + "\r\n]\n",
        "\n".join(RECORDS),
        '{"é": {"data": [1]}, "data": [' + ",".join(RECORDS) + '], "total": 3}',
    ],
)
def test_layouts_hold_the_same_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(reader, "_CHUNK_BYTES", 7)
    (tmp_path / "things.json").write_text(text)
    (tmp_path / "more.jsonl.gz").write_bytes(gzip.compress("\n".join(RECORDS).encode()))
    assert read(tmp_path) == RECORDS * 2


def test_a_file_of_several_tables_has_a_list_for_each(tmp_path: Path) -> None:
    (tmp_path / "dump.json").write_text('{"a": [{"x": 1}], "version": 2, "b": [{"y": 2}, 3]}')
    found = reader.sources(tmp_path / "dump.json")
    assert [source.name for source in found] == ["a", "b"]
    assert read(tmp_path) == ['{"x": 1}', '{"y": 2}', "3"]


@pytest.mark.parametrize("text", ['[{"a": 1}, {"a": ', '[{"a": 1}, oops]', '[{"a": "\x01"}]'])
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "things.json").write_text(text)
    with pytest.raises(InputError, match="damaged"):
        read(tmp_path)


def test_a_folder_without_table_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="no table files"):
        reader.sources(tmp_path)
