"""Files that hold several tables under keys: each list is found, and read as a file of its own."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import ijson
import msgspec
import pytest
from backports import zstd
from hypothesis import example, given
from hypothesis import strategies as st

from restore.source.discovery import Backup, find_backup
from restore.source.envelope import Envelope, read_envelope
from restore.source.reader import Batch, Damage, Reader
from restore.source.table_stream import TableStream
from restore.tests.support.records import records_of

_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode
CHUNKS = (1, 7, 64, 1000, 1 << 19)

USERS = [{"id": n, "name": f"u{n}", "tags": [{"id": 1}, {"t": "]}],"}]} for n in range(40)]
POSTS = [{"id": n, "title": f'p{n}"],"users":[', "meta": {"k": []}} for n in range(30)]
TABLES: dict[str, Any] = {"users": USERS, "empty": [], "posts": POSTS}
ENCODERS: dict[str, Any] = {"": bytes, ".gz": gzip.compress, ".zst": zstd.compress}
STYLES = {
    "compact": lambda value: json.dumps(value, separators=(",", ":")).encode(),
    "default": lambda value: json.dumps(value).encode(),
    "pretty": lambda value: json.dumps(value, indent=2).encode(),
    "tabs": lambda value: json.dumps(value, indent="\t").encode(),
    "crlf": lambda value: json.dumps(value, indent=4).encode().replace(b"\n", b"\r\n"),
    "bom": lambda value: b"\xef\xbb\xbf" + json.dumps(value).encode(),
    "lines": lambda value: (
        b"{\n"
        + b",\n".join(
            json.dumps(key).encode()
            + (
                b": [\n" + b",\n".join(json.dumps(record).encode() for record in held) + b"\n]"
                if isinstance(held, list)
                else b": " + json.dumps(held).encode()
            )
            for key, held in value.items()
        )
        + b"\n}\n"
    ),
}


def found(
    backup: Backup, data: bytes, chunk_bytes: int
) -> dict[str, tuple[list[Any], list[Damage]]]:
    """Read every table; check that each offset points at the delivered bytes in the whole file."""
    tables: dict[str, tuple[list[Any], list[Damage]]] = {}
    for file in backup.files:
        records: list[Any] = []
        damaged: list[Damage] = []
        with contextlib.closing(file.open()) as stream:
            for item in Reader(stream, chunk_bytes, _decode):
                pieces = records_of(item) if isinstance(item, Batch) else [item.record]
                for piece in pieces:
                    assert data[piece.offset : piece.offset + len(piece.raw)] == piece.raw
                if isinstance(item, Batch):
                    records += [json.loads(piece.raw) for piece in pieces]
                else:
                    damaged.append(item)
        tables[file.table] = (records, damaged)
    return tables


def write(folder: Path, data: bytes, name: str = "dump.json") -> Path:
    path = folder / name
    path.write_bytes(ENCODERS[path.suffix if path.suffix in ENCODERS else ""](data))
    return path


def sound(tables: dict[str, Any]) -> dict[str, Any]:
    return {table: (records, []) for table, records in tables.items()}


def outline(data: bytes, folder: Path, chunk_bytes: int) -> Envelope | None:
    path = folder / "outline.json"
    path.write_bytes(data)
    with contextlib.closing(TableStream(path, None)) as stream:
        return read_envelope(stream, chunk_bytes)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ENCODERS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("wrapped", [False, True])
def test_several_tables_in_one_file(
    style: str, suffix: str, *, wrapped: bool, tmp_path: Path
) -> None:
    value = {"data": TABLES, "meta": {"by": ["x", {"a": []}]}} if wrapped else TABLES | {"n": 1}
    if wrapped and style == "lines":
        pytest.skip("this style does not nest")
    data = STYLES[style](value)
    backup = find_backup(write(tmp_path, data, f"dump.json{suffix}"))
    for chunk_bytes in (64, 1 << 19):
        assert found(backup, data, chunk_bytes) == sound(TABLES)
    assert [file.name for file in backup.files] == [
        f"dump.json{suffix}: {table}" for table in TABLES
    ]
    assert backup.left_out == (
        f"dump.json{suffix}: {'meta' if wrapped else 'n'} holds no list of records",
    )
    assert backup.warnings == ()


@pytest.mark.parametrize("chunk_bytes", CHUNKS)
@pytest.mark.parametrize("style", STYLES)
def test_the_same_lists_at_every_chunk_size(style: str, chunk_bytes: int, tmp_path: Path) -> None:
    data = STYLES[style](TABLES)
    envelope = outline(data, tmp_path, chunk_bytes)
    assert envelope is not None
    for section, records in zip(envelope.sections, TABLES.values(), strict=True):
        assert data[section.span.start - 1 : section.span.start] == b"["
        assert data[section.span.end : section.span.end + 1] == b"]"
        assert json.loads(data[section.span.start - 1 : section.span.end + 1]) == records


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"users": USERS}, "users.json"),
        ({"Users": USERS}, "users.json"),
        ({"data": USERS}, "users.json"),
        ({"results": USERS, "total": 5, "errors": []}, "users.json"),
        ({"data": {"items": USERS}, "page": 1}, "users.json.gz"),
    ],
)
@pytest.mark.parametrize("alone", [False, True])
def test_one_list_under_a_key_is_the_file_s_own_table(
    value: Any, name: str, *, alone: bool, tmp_path: Path
) -> None:
    data = json.dumps(value).encode()
    path = write(tmp_path, data, name)
    backup = find_backup(path if alone else tmp_path)
    assert found(backup, data, 1000) == sound({"users": USERS})
    assert [file.name for file in backup.files] == [name]


def test_an_envelope_beside_other_files(tmp_path: Path) -> None:
    data = json.dumps({"users": USERS, "posts": POSTS}).encode()
    write(tmp_path, data)
    write(tmp_path, b"[]", "tags.json")
    files = find_backup(tmp_path).files
    assert [file.table for file in files] == ["users", "posts", "tags"]


def test_an_object_that_may_be_a_record_is_left_to_who_knows_the_tables(tmp_path: Path) -> None:
    data = json.dumps({"id": 1, "lines": USERS, "payments": POSTS}).encode()
    path = write(tmp_path, data, "orders.json")
    [file] = find_backup(tmp_path).files
    assert (file.table, file.span) == ("orders", None)
    assert [inside.table for inside in file.nested] == ["lines", "payments"]
    # Alone, it is what holds several tables.
    assert [file.table for file in find_backup(path).files] == ["lines", "payments"]


@pytest.mark.parametrize(
    "data",
    [
        b'{"id":1,"items":[{"a":1}]}\n{"id":2,"items":[{"a":2}]}\n',
        b'{"id":1,"items":[{"a":1}]}{"id":2,"items":[]}',
        b'{"id":NaN}\n{"id":2,"items":[{"a":2}]}\n',
        b'{"id":1}\n\n{"id":NaN,"items":[{"a":2}]}\n{"id":3,"items":[{"a":2}]}\n',
    ],
)
@pytest.mark.parametrize("chunk_bytes", CHUNKS)
def test_json_lines_are_no_envelope(data: bytes, chunk_bytes: int, tmp_path: Path) -> None:
    assert outline(data, tmp_path, chunk_bytes) is None


@pytest.mark.parametrize(
    "data", [b'{"schema":1,"of":{"x":[{}]},"list":[1,[{}]]}', b'{"id":1}', b"{}"]
)
def test_one_object_without_lists_is_left_as_it_is(data: bytes, tmp_path: Path) -> None:
    [file] = find_backup(write(tmp_path, data, "settings.json")).files
    assert (file.table, file.span, file.nested) == ("settings", None, ())


@pytest.mark.slow
@pytest.mark.parametrize("style", ["compact", "default", "pretty", "tabs", "crlf", "lines"])
@pytest.mark.parametrize("suffix", ENCODERS)
@pytest.mark.parametrize("chunk_bytes", [64, 1 << 19])
def test_a_file_that_is_cut_off_gives_all_whole_records(
    style: str, suffix: str, chunk_bytes: int, tmp_path: Path
) -> None:
    data = STYLES[style](TABLES)
    data = data[: data.index(b"p20") + 2]
    backup = find_backup(write(tmp_path, data, f"dump.json{suffix}"))
    tables = found(backup, data, chunk_bytes)
    assert tables["users"] == (USERS, [])
    assert tables["posts"][0] == POSTS[:20]
    with contextlib.closing(backup.files[-1].open()) as stream:
        reader = Reader(stream, chunk_bytes, _decode)
        assert [type(item) for item in reader].count(Damage) == 1
    assert reader.cut_off_at == len(data)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_compressed_file_that_is_cut_off_gives_what_came_before(
    suffix: str, tmp_path: Path
) -> None:
    # What does not compress: the fault is far behind the first table.
    posts = [{"id": n, "t": f"{n * 7919**9:x}"} for n in range(20_000)]
    data = json.dumps({"users": USERS, "posts": posts}).encode()
    path = write(tmp_path, data, f"dump.json{suffix}")
    path.write_bytes(path.read_bytes()[:-5000])
    tables = found(find_backup(path), data, 1 << 16)
    assert tables["users"] == (USERS, [])
    records = tables["posts"][0]
    assert 0 < len(records) < len(posts)
    assert records == posts[: len(records)]


@pytest.mark.parametrize("style", ["compact", "default", "pretty", "tabs", "crlf", "lines"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("chunk_bytes", [64, 1 << 19])
def test_damage_in_one_list_costs_no_other(
    style: str, chunk_bytes: int, *, last: bool, tmp_path: Path
) -> None:
    name = b'u39"' if last else b'u20"'
    data = STYLES[style](TABLES | {"posts": POSTS, "end": [{"id": 1}]})
    assert data.count(name) == 1
    data = data.replace(name, name[:-1])
    backup = find_backup(write(tmp_path, data))
    tables = found(backup, data, chunk_bytes)
    number = 39 if last else 20
    assert tables["users"][0] == USERS[:number] + USERS[number + 1 :]
    assert [damage.record.ordinal for damage in tables["users"][1]] == [number]
    assert tables["posts"] == (POSTS, [])
    assert tables["end"] == ([{"id": 1}], [])


@pytest.mark.parametrize("chunk_bytes", [1, 64, 1 << 19])
@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b'{"meta":nope,"users":[{"id":1}],"posts":[{"id":2}]}', ["users", "posts"]),
        (b'{"users":[{"id":1}] "posts":[{"id":2}]}', ["users", "posts"]),
        (b'{"data":{"users":[{"id":1}],,"posts":[{"id":2}]}}', ["users", "posts"]),
        (b'{"users":[{"id":1}],"posts":[{"id":2}]}\0\0', ["users", "posts"]),
        (b'{"users":[{"id":1}],"posts":[{"id":2}]', ["users", "posts"]),
        (b'{"users":[{"id":1}],"\xff":[{"id":2}],"posts":[]}', ["users", "posts"]),
    ],
)
def test_damage_outside_the_lists_is_said_and_costs_none(
    data: bytes, keys: list[str], chunk_bytes: int, tmp_path: Path
) -> None:
    envelope = outline(data, tmp_path, chunk_bytes)
    assert envelope is not None
    assert [section.key for section in envelope.sections if section.key in keys] == keys
    assert envelope.fault
    for section in envelope.sections:
        json.loads(b"[%b]" % data[section.span.start : section.span.end])


@pytest.mark.slow
def test_the_place_on_the_disk_tells_how_far_a_load_has_come(tmp_path: Path) -> None:
    data = json.dumps({"users": USERS, "posts": [{"n": n} for n in range(200_000)]}).encode()
    for suffix in ENCODERS:
        path = write(tmp_path, data, f"dump.json{suffix}")
        for file in find_backup(path).files:
            assert 0 < file.disk_bytes <= path.stat().st_size
            with contextlib.closing(file.open()) as stream:
                for _ in Reader(stream, 1 << 19, _decode):
                    assert 0 <= stream.disk_bytes_read <= file.disk_bytes
                assert stream.disk_bytes_read == pytest.approx(file.disk_bytes, abs=1 << 19)


_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_values = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8)
_records = st.lists(
    st.dictionaries(
        st.sampled_from(["id", "name", '"],"x":[{', "a"]),
        _values | st.lists(st.dictionaries(st.just("id"), _values)),
    ),
    max_size=6,
)


@given(
    st.dictionaries(_names, _records | _values | st.dictionaries(_names, _values), max_size=5),
    st.sampled_from(sorted(STYLES)),
    st.sampled_from(CHUNKS),
)
@example({"a": [{}], "b": [{"id": 1}, {}]}, "compact", 1)
def test_the_same_as_ijson_on_any_envelope(value: Any, style: str, chunk_bytes: int) -> None:
    value = {key: held for key, held in value.items() if key not in ("data", "tables")}
    data = STYLES[style](value)
    with tempfile.TemporaryDirectory() as folder:
        envelope = outline(data, Path(folder), chunk_bytes)
    assert envelope is not None
    assert envelope.fault is None
    lists = {
        key: held
        for key, held in ijson.kvitems(io.BytesIO(data.removeprefix(b"\xef\xbb\xbf")), "")
        if isinstance(held, list)
    }
    assert lists == {
        section.key: json.loads(b"[%b]" % data[section.span.start : section.span.end])
        for section in envelope.sections
    }


@given(st.lists(st.sampled_from([b"{", b"}", b'"', b'"k":', b",", b"[", b"]", b"\n", b"1", b"\\"])))
def test_any_structure_ends(tokens: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = b'{"a":[{' + b"".join(tokens)
        envelope = outline(data, Path(folder), 5)
    for section in envelope.sections if envelope else ():
        assert 0 < section.span.start <= section.span.end <= len(data)
