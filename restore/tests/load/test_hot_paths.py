"""Micro-benchmarks of what is done for every record: cut, decode, encode, isolate.

``nox -s bench-micro`` measures them. In an ordinary test run each is run once, to see that it still
does what it should.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from restore.decode import packer as native
from restore.decode.codec import Codec, make_codec
from restore.decode.convert import Converter
from restore.decode.packer import PackedBatch
from restore.decode.rows import PackedRows
from restore.decode.shapes import ShapeLearner
from restore.decode.types import Shape
from restore.load.copy import copy_rows, copy_statement
from restore.source.layout import detect_layout
from restore.source.reader import Batch, Damage, Reader
from restore.source.recovery import scan
from restore.target.adapters import prepare
from restore.target.catalog import Column, Table, Type
from restore.tests.load import type_rates
from restore.tests.support.records import records_of

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


COUNT = 2_000
CHUNK_BYTES = 1 << 16
RECORDS = [
    {
        "id": n,
        "email": f"user{n}@example.org",
        "createdAt": "2024-01-01T00:00:00.000Z",
        "key": f"00000000-0000-4000-8000-{n:012d}",
        "price": "12.50",
        "data": {"tags": ["a", "b"], "deep": {"k": n}},
    }
    for n in range(COUNT)
]
DATA = b"[\n" + b",\n".join(json.dumps(record).encode() for record in RECORDS) + b"\n]\n"
LINES = DATA[2:-3].replace(b",\n", b"\n")
TORN = DATA.replace(b'"id": 1000,', b'"id": nope,')
# A whole record, of which only the server can say what its instant is.
ODD = DATA[: DATA.index(b'{"id": 1000,')] + DATA[DATA.index(b'{"id": 1000,') :].replace(
    b'"2024-01-01T00:00:00.000Z"', b'"Mon Jan 1 2024"', 1
)
native_only = pytest.mark.skipif(not native.IS_BUILT, reason="restore.decode._native is not built")
CREATE = (
    'CREATE TABLE hot (id bigint, email text, "createdAt" timestamptz, key uuid,'
    " price numeric, data jsonb, words tsvector)"
)


def table(**more: str) -> Table:
    kinds = {
        "id": "int8",
        "email": "text",
        "createdAt": "timestamptz",
        "key": "uuid",
        "price": "numeric",
        "data": "jsonb",
        **more,
    }
    columns = [
        Column(
            name,
            Type(0, "pg_catalog", kind, "b"),
            not_null=False,
            has_default=False,
            generated=False,
        )
        for name, kind in kinds.items()
    ]
    return Table(0, "public", "hot", tuple(columns), (), (), ())


def make(**more: str) -> Codec:
    shape = Shape(frozenset(), frozenset(), frozenset())
    return make_codec(table(**more).columns, shape, Converter())


@pytest.fixture
def codec() -> Codec:
    return make()


def cut(data: bytes) -> int:
    """Cut into batches, decoding nothing."""
    found = Reader(io.BytesIO(data), CHUNK_BYTES, lambda text: range(text.count(b'{"id"')))
    return sum(batch.count for batch in found if isinstance(batch, Batch))


@pytest.mark.benchmark(group="cut")
@pytest.mark.parametrize("form", ["array", "lines"])
def test_cut(benchmark: BenchmarkFixture, form: str) -> None:
    assert benchmark(cut, {"array": DATA, "lines": LINES}[form]) == COUNT


@pytest.mark.benchmark(group="cut")
def test_cut_and_decode(benchmark: BenchmarkFixture, codec: Codec) -> None:
    def read() -> int:
        found = list(Reader(io.BytesIO(DATA), CHUNK_BYTES, codec.decode))
        return sum(batch.count for batch in found if isinstance(batch, Batch) and batch.rows)

    assert benchmark(read) == COUNT


@pytest.mark.benchmark(group="decode")
def test_decode_and_encode_in_python(benchmark: BenchmarkFixture, codec: Codec) -> None:
    assert len(benchmark(codec.decode, DATA)) == COUNT


@native_only
@pytest.mark.benchmark(group="decode")
def test_decode_and_encode_in_c(benchmark: BenchmarkFixture, codec: Codec) -> None:
    assert codec.native is not None
    found = benchmark(codec.native.pack, DATA)
    assert found is not None
    assert (found.count, len(found.declined)) == (COUNT, 0)


@native_only
@pytest.mark.benchmark(group="types")
@pytest.mark.parametrize("name", type_rates.NAMES)
def test_each_type_in_c(benchmark: BenchmarkFixture, name: str) -> None:
    found = benchmark(type_rates.ways_of(name)["C"])
    assert isinstance(found, PackedBatch)
    assert (found.count, len(found.declined)) == (type_rates.COUNT, 0)


@native_only
@pytest.mark.benchmark(group="types")
@pytest.mark.parametrize("name", type_rates.NAMES)
def test_each_type_by_the_general_path(benchmark: BenchmarkFixture, name: str) -> None:
    rows = benchmark(type_rates.ways_of(name)["general path"])
    assert isinstance(rows, PackedRows)
    assert len(rows) == type_rates.COUNT


@pytest.mark.benchmark(group="copy")
@pytest.mark.parametrize("binary", [True, False], ids=["binary", "text"])
def test_copy(benchmark: BenchmarkFixture, database: Any, *, binary: bool) -> None:
    conn = database.connect()
    prepare(conn)
    conn.execute(CREATE)
    codec = make() if binary else make(words="tsvector")  # of which we know no binary form
    assert codec.binary is binary
    rows = codec.decode(DATA)
    statement = copy_statement(table().identifier, codec)
    assert benchmark(copy_rows, conn, statement, codec, rows, relation="hot") == len(rows)
    assert conn.execute("SELECT count(*) % 2000 = 0 FROM hot").fetchone() == (True,)


@pytest.mark.benchmark(group="isolate")
def test_isolate_torn_bytes(benchmark: BenchmarkFixture, codec: Codec) -> None:
    def read() -> list[Any]:
        return list(Reader(io.BytesIO(TORN), CHUNK_BYTES, codec.decode))

    found = benchmark(read)
    assert [type(item) for item in found].count(Damage) == 1


@pytest.mark.benchmark(group="isolate")
@pytest.mark.usefixtures("in_c")
def test_isolate_a_record_that_does_not_decode(benchmark: BenchmarkFixture) -> None:
    shapes = ShapeLearner(table(), Converter())
    segments = benchmark(shapes.decode, ODD).segments
    assert [(each.start, each.codec is None) for each in segments] == [
        (0, False),
        (1000, True),
        (1001, False),
    ]


@pytest.mark.benchmark(group="isolate")
def test_isolate_a_row_that_the_server_refuses(
    benchmark: BenchmarkFixture, codec: Codec, database: Any
) -> None:
    conn = database.connect()
    prepare(conn)
    conn.execute(CREATE)
    conn.execute("ALTER TABLE hot ADD CHECK (id <> 1000)")
    statement = copy_statement(table().identifier, codec)
    refused = benchmark(copy_rows, conn, statement, codec, codec.decode(DATA), relation="hot")
    assert not isinstance(refused, int)
    assert refused.row == 1000


@pytest.mark.benchmark(group="isolate")
def test_isolate_by_decoding_each_record(benchmark: BenchmarkFixture, codec: Codec) -> None:
    [batch] = Reader(io.BytesIO(DATA), 2 * len(DATA), codec.decode)
    assert isinstance(batch, Batch)

    def decode() -> int:
        return sum(len(codec.decode(b"[%b]" % record.raw)) for record in records_of(batch))

    assert benchmark(decode) == COUNT


@pytest.mark.benchmark(group="isolate")
def test_isolate_by_walking_each_record(benchmark: BenchmarkFixture) -> None:
    found = benchmark(scan, DATA[1:], detect_layout(DATA[1:]), final=True)
    assert len(found.pieces) == COUNT
