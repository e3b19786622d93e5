"""What the generator writes: the same bytes for the same arguments, whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from harness.generate import DatasetSpec, cached, generate, is_complete
from harness.model import manifest
from harness.model.errors import HarnessError, InputError
from harness.tests.processes import ends_soon

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from pathlib import Path

STAMP = "20240101_000000"
#: Enough for several processes to be started.
MANY = 30_000


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def digest(folder: Path) -> str:
    return hashlib.sha256(b"".join(files(folder).values())).hexdigest()


def table_records(folder: Path) -> dict[str, Any]:
    return {
        table.table: json.loads((folder / table.file).read_bytes())
        for table in manifest.load(folder).tables
    }


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "harness", "generate", *map(str, arguments)]


@pytest.mark.slow
def test_same_arguments_make_same_bytes_whatever_the_number_of_processes(tmp_path: Path) -> None:
    spec = DatasetSpec(rows=MANY, faults="realistic", seed=7)
    digests = {
        digest(generate(spec, tmp_path / str(processes), processes=processes))
        for processes in (1, 2, 3)
    }
    assert len(digests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("compress", ["gz", "zst"])
def test_compressed_bytes_are_the_same_and_hold_the_same(tmp_path: Path, compress: str) -> None:
    plain = generate(DatasetSpec(rows=MANY), tmp_path / "plain")
    spec = DatasetSpec(rows=MANY, compress=compress)
    one = generate(spec, tmp_path / "one", processes=1)
    two = generate(spec, tmp_path / "two", processes=2)
    assert files(one) == files(two)
    for table in manifest.load(one).tables:
        packed = (one / table.file).read_bytes()
        data = gzip.decompress(packed) if compress == "gz" else unzstd(packed)
        assert data == (plain / f"{table.table}.json").read_bytes()
        assert len(data) == table.bytes


def unzstd(packed: bytes) -> bytes:
    return zstd.decompress(packed)


def test_another_seed_makes_other_bytes(tmp_path: Path) -> None:
    first = generate(DatasetSpec(rows=100), tmp_path / "0")
    second = generate(DatasetSpec(rows=100, seed=1), tmp_path / "1")
    assert digest(first) != digest(second)


@pytest.mark.parametrize(("style", "indent"), [("lines", None), ("compact", None), ("pretty", 2)])
def test_styles_are_written_as_json_stringify_writes_them(
    tmp_path: Path, style: str, indent: int | None
) -> None:
    folder = generate(DatasetSpec(rows=500, style=style), tmp_path)
    for table in manifest.load(folder).tables:
        text = (folder / table.file).read_text("utf-8")
        assert len(text.encode()) == table.bytes
        separators = (",", ":") if indent is None else None
        records = [
            json.dumps(record, ensure_ascii=False, indent=indent, separators=separators)
            for record in json.loads(text)
        ]
        if style == "lines":
            assert text == "[\n" + ",\n".join(records) + "\n]\n"
        elif style == "compact":
            assert text == "[" + ",".join(records) + "]"
        else:
            assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2)


def test_styles_hold_the_same_records(tmp_path: Path) -> None:
    made = [
        table_records(generate(DatasetSpec(rows=500, style=style), tmp_path / style))
        for style in ("lines", "compact", "pretty")
    ]
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize("rows", [0, 1, 5, 9, 10, 1000, 12_345])
def test_rows_are_exactly_as_many_as_asked_for(tmp_path: Path, rows: int) -> None:
    folder = generate(DatasetSpec(rows=rows), tmp_path)
    truth = manifest.load(folder)
    assert sum(table.records for table in truth.tables) == rows
    found = table_records(folder)
    assert {table.table: table.records for table in truth.tables} == {
        name: len(records) for name, records in found.items()
    }


def test_records_are_of_the_size_and_the_shares_that_were_promised(tmp_path: Path) -> None:
    truth = manifest.load(generate(DatasetSpec(rows=20_000), tmp_path))
    assert 420 <= truth.json_bytes / 20_000 <= 480
    assert 0.35 <= max(table.records for table in truth.tables) / 20_000 <= 0.45
    assert len(truth.tables) >= 8


def test_values_are_real_and_keys_are_unique(tmp_path: Path) -> None:
    found = table_records(generate(DatasetSpec(rows=20_000), tmp_path))
    for name, records in found.items():
        assert len({record["id"] for record in records}) == len(records), name
    emails = [user["email"] for user in found["users"]]
    assert len(set(emails)) == len(emails)
    companies = {company["id"] for company in found["companies"]}
    assert {user["companyId"] for user in found["users"]} <= companies
    seen: set[int] = set()
    for category in found["categories"]:
        assert category["parentId"] is None or category["parentId"] in seen
        seen.add(category["id"])


def test_realistic_damages_one_record_in_a_thousand(tmp_path: Path) -> None:
    truth = manifest.load(generate(DatasetSpec(rows=22_000, faults="realistic"), tmp_path))
    assert len(truth.damage) == 22
    kinds = [damage.damage for damage in truth.damage]
    assert {kinds.count(kind) for kind in kinds} == {2}
    assert len({(damage.table, damage.ordinal) for damage in truth.damage}) == 22
    assert len({damage.table for damage in truth.damage}) >= 5


def test_progress_counts_every_record(tmp_path: Path) -> None:
    steps: list[int] = []
    generate(DatasetSpec(rows=12_000), tmp_path, progress=steps.append)
    assert sum(steps) == 12_000


def test_existing_dataset_is_not_overwritten(tmp_path: Path) -> None:
    folder = generate(DatasetSpec(rows=10), tmp_path)
    before = digest(folder)
    with pytest.raises(InputError, match="exists already"):
        generate(DatasetSpec(rows=20), tmp_path)
    assert digest(folder) == before


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The folder of a generation that was killed in the middle, with processes of its own."""
    process = subprocess.Popen(
        command("--rows", 10_000_000, "--out", tmp_path, "--processes", 2),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: [path for path in tmp_path.glob(".*/*.json") if path.stat().st_size > 10**5])
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert all(ends_soon(child.pid) for child in children)
    return tmp_path


def wait_for(ready: Any, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_generation_that_was_killed_leaves_nothing_that_looks_like_a_dataset(
    killed: Path,
) -> None:
    assert [path.name[0] for path in killed.iterdir()] == ["."]
    assert not list(killed.rglob(manifest.MANIFEST))
    generate(DatasetSpec(rows=10), killed)
    assert [path.name for path in killed.iterdir()] == [STAMP]


def test_generation_that_was_interrupted_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("--rows", 10_000_000, "--out", tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: list(tmp_path.glob(".*/*.json")))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.splitlines() == ["python -m harness generate: stopped"]
    assert list(tmp_path.iterdir()) == []


def test_worker_that_dies_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("--rows", 10_000_000, "--out", tmp_path, "--processes", 2),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: list(tmp_path.glob(".*/companies.json")))
    workers = psutil.Process(process.pid).children()
    assert len(workers) == 2
    workers[1].kill()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    [line] = errors.splitlines()
    assert "exited early" in line
    assert list(tmp_path.iterdir()) == []
    assert not any(worker.is_running() for worker in workers)


def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    spec = DatasetSpec(rows=5000)
    paths: list[Path] = []
    threads = [
        threading.Thread(target=lambda: paths.append(cached(spec, tmp_path))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 1
    assert len(paths) == 3
    assert is_complete(paths[0])
    assert [path.name for path in paths[0].parent.iterdir()] == [STAMP]


def test_cache_generates_once_and_never_takes_one_dataset_for_another(tmp_path: Path) -> None:
    spec = DatasetSpec(rows=100)
    first = cached(spec, tmp_path)
    before = (first / "users.json").stat().st_mtime_ns
    assert cached(spec, tmp_path) == first
    assert (first / "users.json").stat().st_mtime_ns == before
    others = [
        DatasetSpec(rows=101),
        DatasetSpec(rows=100, seed=1),
        DatasetSpec(rows=100, faults="realistic"),
        DatasetSpec(rows=100, style="pretty"),
        DatasetSpec(rows=100, compress="gz"),
    ]
    assert len({first, *(cached(other, tmp_path) for other in others)}) == 6


def test_cached_dataset_that_was_cut_is_not_taken_for_whole(tmp_path: Path) -> None:
    folder = cached(DatasetSpec(rows=100), tmp_path)
    before = digest(folder)
    os.truncate(folder / "users.json", 10)
    assert not is_complete(folder)
    assert cached(DatasetSpec(rows=100), tmp_path) == folder
    assert digest(folder) == before


def test_command_prints_the_path_of_the_dataset(tmp_path: Path) -> None:
    done = subprocess.run(
        command("--rows", 50, "--out", tmp_path, "--style", "pretty", "--compress", "zst"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path / STAMP}\n"
    assert done.stderr == ""
    assert is_complete(tmp_path / STAMP)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows", "-1"], "--rows -1 is out of range"),
        (["--rows", "1", "--scenario", "nowhere"], "unknown scenario 'nowhere'"),
        (["--rows", "1", "--scenario", "../datasets/business"], "unknown scenario"),
        (["--rows", "1", "--processes", "0"], "--processes 0 is out of range"),
    ],
)
def test_arguments_that_make_no_sense_are_one_line(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = subprocess.run(
        command("--out", tmp_path, *arguments), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert said in line


def test_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HarnessError, match="cannot write"):
        generate(DatasetSpec(rows=1), tmp_path / "file" / "deeper")


@pytest.mark.slow
@pytest.mark.parametrize("style", ["lines", "compact", "pretty"])
@pytest.mark.parametrize("faults", ["realistic", "hostile"])
def test_damaged_records_are_where_the_manifest_says(
    tmp_path: Path, style: str, faults: str
) -> None:
    spec = DatasetSpec(rows=MANY if faults == "realistic" else 3000, faults=faults, style=style)
    folder = generate(spec, tmp_path, processes=2)
    truth = manifest.load(folder)
    data = {table.table: (folder / table.file).read_bytes() for table in truth.tables}
    decoder = json.JSONDecoder()
    located = [damage for damage in truth.damage if damage.ordinal is not None]
    assert len(located) > 2
    for damage in located:
        rest = data[damage.table][damage.offset :]
        if faults == "realistic":
            text = rest[:5000].decode(errors="replace")
            _, end = decoder.raw_decode(text)
            raw = text[:end].encode()
            assert hashlib.sha256(raw).hexdigest() == damage.sha256
        else:
            ends = (at for at in range(1, len(rest)) if rest[at - 1 : at] in b'}]42l"')
            tried = (hashlib.sha256(rest[:end]).hexdigest() for end in ends)
            found = next(
                (one for one in itertools.islice(tried, 3000) if one == damage.sha256), None
            )
            large = damage.damage in {"large_record", "too_deep_nesting", "deep_nesting"}
            assert found is not None or large, damage
