"""Part files of one table are read as one, in the order of their numbers."""

from __future__ import annotations

import contextlib
import gzip
from typing import TYPE_CHECKING

import pytest

from restore.source.discovery import find_backup

if TYPE_CHECKING:
    from pathlib import Path

RUN = "8f2e0a6e-0a37-4f0e-9d1c-1f0f6b1a2b3c"


def tables(folder: Path) -> dict[str, bytes]:
    found = {}
    for file in find_backup(folder).files:
        with contextlib.closing(file.open()) as stream:
            found[file.table] = b"".join(iter(lambda: stream.read(7), b""))
    return found


def write(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        data = b'{"n":%d}\n' % number
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


JOINED = b'{"n":0}\n{"n":1}\n{"n":2}\n'


@pytest.mark.parametrize(
    "names",
    [
        [f"users-{n:012}.json" for n in range(3)],
        [f"users_{n:04}_part_00.gz" for n in range(3)],
        ["users_1.json", "users_2.json", "users_3.json"],
        [f"users.part{n}.jsonl" for n in range(3)],
        [f"users-{n:05}-of-00003.json.gz" for n in range(3)],
    ],
    ids=lambda names: names[0],
)
def test_numbered_files_are_one_table(tmp_path: Path, names: list[str]) -> None:
    write(tmp_path, *names)
    assert tables(tmp_path) == {"users": JOINED}


def test_ten_come_after_nine(tmp_path: Path) -> None:
    names = [f"users_{n}.json" for n in range(1, 12)]
    write(tmp_path, *names)
    assert tables(tmp_path)["users"].splitlines()[-1] == b'{"n":10}'


@pytest.mark.parametrize(
    "names",
    [
        [f"part-{n:05}-{RUN}-c000.json" for n in range(3)],
        ["data_0_0_0.json.gz", "data_0_1_0.json.gz", "data_1_0_0.json.gz"],
        ["000000_0.json", "000001_0.json", "000002_0.json"],
        ["part-00000.json", "part-00003.json", "part-00007.json"],  # Spark writes no empty part
    ],
    ids=lambda names: names[0],
)
@pytest.mark.parametrize("folder", ["users", "users.json"])
def test_a_folder_of_parts_is_a_table(tmp_path: Path, names: list[str], folder: str) -> None:
    write(tmp_path / folder, *names)
    (tmp_path / folder / "_SUCCESS").touch()
    (tmp_path / folder / f".{names[0]}.crc").write_bytes(b"crc")
    assert tables(tmp_path) == {"users": JOINED}


def test_the_folder_itself_may_be_the_backup(tmp_path: Path) -> None:
    write(tmp_path / "users", "part-00000.json", "part-00001.json", "part-00002.json")
    assert tables(tmp_path / "users") == {"users": JOINED}


@pytest.mark.parametrize(
    "names",
    [
        ["users_20240131.json", "users_20240201.json"],
        ["events_2023.json", "events_2024.json"],
        ["users_0.json", "users_2.json"],
        ["a1.json", "b2.json"],
    ],
    ids=lambda names: names[0],
)
def test_other_numbers_are_part_of_the_name(tmp_path: Path, names: list[str]) -> None:
    write(tmp_path, *names)
    assert sorted(tables(tmp_path)) == [name.partition(".")[0] for name in names]


def test_lists_and_files_without_a_last_line_end_are_joined(tmp_path: Path) -> None:
    (tmp_path / "users_0.json").write_bytes(b'[{"n":0}]')
    (tmp_path / "users_1.json").write_bytes(b'[{"n":1}]\n')
    assert tables(tmp_path) == {"users": b'[{"n":0}]\n[{"n":1}]\n'}


def test_a_part_that_is_damaged_ends_the_table(tmp_path: Path) -> None:
    write(tmp_path, "users_0.json.gz", "users_1.json.gz", "users_2.json.gz")
    path = tmp_path / "users_1.json.gz"
    path.write_bytes(path.read_bytes()[:-6])
    [file] = find_backup(tmp_path).files
    with contextlib.closing(file.open()) as stream:
        data = b"".join(iter(lambda: stream.read(100), b""))
        assert data.startswith(b'{"n":0}\n')
        assert b'{"n":2}' not in data
        assert stream.fault is not None
        assert "users_1.json.gz is damaged" in stream.fault
