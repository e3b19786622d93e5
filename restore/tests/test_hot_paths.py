"""Micro-benchmarks of what is done for every record. ``nox -s bench-micro`` measures them.

In an ordinary test run each is run once, to see that it still does what it should.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from restore import native
from restore.catalog import Column, Table, Type
from restore.copy import copy_rows, copy_statement, prepare
from restore.decode import Codec, make_codec
from restore.forms import array_form
from restore.kinds import Shape
from restore.read import Batch, Damage, Reader
from restore.scan import DECODE_ERRORS, walk
from restore.values import Converter

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

COUNT = 2_000
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
TORN = DATA.replace(b'"id": 1000,', b'"id": nope,')
CREATE = (
    'CREATE TABLE hot (id bigint, email text, "createdAt" timestamptz, key uuid,'
    " price numeric, data jsonb)"
)


def table() -> Table:
    kinds = {
        "id": "int8",
        "email": "text",
        "createdAt": "timestamptz",
        "key": "uuid",
        "price": "numeric",
        "data": "jsonb",
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


@pytest.fixture
def codec() -> Codec:
    columns = table().columns
    return make_codec(columns, Shape(frozenset(), frozenset(), frozenset()), Converter())


def test_read_and_decode(benchmark: BenchmarkFixture, codec: Codec) -> None:
    def read() -> int:
        found = list(Reader(io.BytesIO(DATA), 1 << 16, codec.decode))
        return sum(batch.count for batch in found if isinstance(batch, Batch) and batch.rows)

    assert benchmark(read) == COUNT


def test_read_past_a_damaged_record(benchmark: BenchmarkFixture, codec: Codec) -> None:
    def read() -> list[Any]:
        return list(Reader(io.BytesIO(TORN), 1 << 16, codec.decode))

    found = benchmark(read)
    assert [type(item) for item in found].count(Damage) == 1


def test_walk_record_by_record(benchmark: BenchmarkFixture) -> None:
    found = benchmark(walk, DATA[1:], array_form(DATA[1:]), final=True)
    assert len(found.pieces) == COUNT


def test_decode_records_one_by_one(benchmark: BenchmarkFixture, codec: Codec) -> None:
    [batch] = Reader(io.BytesIO(DATA), 1 << 20, codec.decode)
    assert isinstance(batch, Batch)

    def decode() -> int:
        whole = 0
        for record in batch.records():
            try:
                whole += len(codec.decode(b"[%b]" % record.raw))
            except DECODE_ERRORS:
                continue
        return whole

    assert benchmark(decode) == COUNT


@pytest.mark.skipif(not native.IS_BUILT, reason="restore._pack is not built")
def test_pack(benchmark: BenchmarkFixture, codec: Codec) -> None:
    assert codec.native is not None
    found = benchmark(codec.native.pack, DATA)
    assert found is not None
    assert (found.count, len(found.declined)) == (COUNT, 0)


def test_encode_and_copy(benchmark: BenchmarkFixture, codec: Codec, database: Any) -> None:
    conn = database.connect()
    prepare(conn)
    conn.execute(CREATE)
    rows = codec.decode(DATA)
    statement = copy_statement(table().identifier, codec)
    assert benchmark(copy_rows, conn, statement, codec, rows) is None
    assert conn.execute("SELECT count(*) % 2000 = 0 FROM hot").fetchone() == (True,)
