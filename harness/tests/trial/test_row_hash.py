"""A row is hashed on the server as it is in Python, and no two different rows alike."""

from __future__ import annotations

import datetime as dt
import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.generate import truth
from harness.generate.nested import array_element
from harness.trial import row_hash

if TYPE_CHECKING:
    from conftest import Database
    from harness.model.manifest import Form

SCHEMA = """
CREATE DOMAIN moment AS timestamptz;
CREATE TABLE rows (
    a text, b text, data bytea, ratio float8, at moment, local timestamp, tags text[],
    amount numeric, flag boolean
)
"""
FORMS: dict[str, Form] = {
    "a": "text",
    "b": "text",
    "data": "bytea",
    "ratio": "float8",
    "at": "timestamptz",
    "local": "timestamp",
    "tags": "text",
    "amount": "text",
    "flag": "text",
}
TABLE = ("public", "rows")
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - of a column without a zone

# Columns, and two rows that are not the same.
DIFFERENT = [
    ("a text, b text", "NULL, 'x'", "'\\N', 'x'"),
    ("a text, b text", "NULL, ''", "'', NULL"),
    ("a text, b text", "'a', 'bc'", "'ab', 'c'"),
    ("a text, b text", "E'a\\x1fb', 'c'", "'a', E'b\\x1fc'"),
    ("a float8", "'0'", "'-0'"),
    ("a float4", "'0'", "'-0'"),
    ("a float8[]", "'{0}'", "'{-0}'"),
    ("a float8[]", "'{0.1}'", "'{0.10000000000000002}'"),
    ("a jsonb", "'1'", "'1.0'"),
    ("a jsonb", "'null'", "NULL"),
    ("a json", "'{}'", "'{ }'"),
    ("a text[]", "'{NULL}'", "'{\"NULL\"}'"),
    ("a text[]", "'{}'", "'{\"\"}'"),
    ("a text[]", "'{a,b}'", "'{{a,b}}'"),
    ("a text[]", "'{a,b}'", "'[2:3]={a,b}'"),
    ("a text[]", "E'{a\\x1eb}'", "'{a,b}'"),
    ("a numeric", "1.0", "1.00"),
    ("a bytea", "''", "NULL"),
    ("a interval", "'1 month'", "'30 days'"),
    ("a interval", "'1 day'", "'24 hours'"),
    ("a timestamptz", "'infinity'", "'-infinity'"),
    ("a timestamp", "'2000-01-01'", "'2000-01-01 00:00:00.000001'"),
    ("a date", "'0001-01-01'", "'0001-01-01 BC'"),
    ("a timetz", "'10:00+00'", "'11:00+01'"),
    ("a money", "1.5", "-1.5"),
    ("a varchar(3)", "'a'", "'a '"),
    ("a inet", "'10.0.0.1/8'", "'10.0.0.1/32'"),
]

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
# What a text of an array quotes, what separates texts elsewhere, and what could be taken for NULL.
tricky = st.sampled_from(
    ["", "\\N", "N", "NULL", "null", ",", "{}", '"', "\\", " ", "\x1f", "\x1e", "a"]
)
moments = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))  # noqa: DTZ001 - same
row = st.tuples(
    *[st.none() | texts | tricky] * 2,
    st.none() | st.binary(max_size=5),
    st.none() | st.floats(allow_nan=False),
    st.none() | moments,
    st.none() | moments,
    st.none() | st.lists(st.none() | texts | tricky, max_size=3),
    st.none() | st.decimals(allow_nan=False, allow_infinity=False, min_value=-99, max_value=99),
    st.none() | st.booleans(),
)
Row = tuple[Any, ...]


@pytest.fixture
def connection(database: Database) -> row_hash.Connection:
    return database.connect()


@given(st.lists(row, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@pytest.mark.slow
def test_the_server_hashes_rows_as_python_does(
    connection: row_hash.Connection, rows: list[Row]
) -> None:
    fill(connection, rows)
    found = row_hash.truth_of(connection, TABLE)
    assert {column.name: column.form for column in found.columns} == FORMS
    hashes = truth.RowHashes()
    digests = [digest(row) for row in rows]
    hashes.add(b"".join(digests))
    assert (found.rows, found.checksum) == (hashes.rows, hashes.checksum)
    assert len(set(digests)) == len({tuple(written(row)) for row in rows})


def fill(connection: row_hash.Connection, rows: list[Row]) -> None:
    connection.execute("SET search_path = public, pg_catalog")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("DROP TABLE IF EXISTS rows; DROP DOMAIN IF EXISTS moment")
    connection.execute(SCHEMA)
    values = ", ".join(["%s"] * len(FORMS))
    for one in rows:
        connection.execute(f"INSERT INTO rows VALUES ({values})".encode(), one)


def digest(row: Row) -> bytes:
    cells = [
        truth.cells(form, [text])[0]
        for form, text in zip(FORMS.values(), written(row), strict=True)
    ]
    return truth.digests([cells], len(cells))


def written(row: Row) -> list[str | None]:
    """Write a row as the generator does."""
    a, b, data, ratio, at, local, tags, amount, flag = row
    return [
        a,
        b,
        None if data is None else data.hex(),
        None if ratio is None else struct.pack(">d", ratio).hex(),
        *[
            None if one is None else str((one - EPOCH) // dt.timedelta(microseconds=1))
            for one in (at, local)
        ],
        None
        if tags is None
        else "{" + ",".join("NULL" if tag is None else array_element(tag) for tag in tags) + "}",
        None if amount is None else numeric(amount),
        None if flag is None else str(flag).lower(),
    ]


def numeric(amount: Any) -> str:
    """Write a decimal as PostgreSQL does, which knows no -0."""
    return f"{amount or abs(amount):f}"


def test_values_that_differ_are_hashed_differently(connection: row_hash.Connection) -> None:
    for table, one, other in DIFFERENT:
        checksums = set()
        for values in (one, other):
            connection.execute(f"CREATE TABLE public.rows ({table})".encode())
            connection.execute(f"INSERT INTO public.rows VALUES ({values})".encode())
            checksums.add(row_hash.truth_of(connection, TABLE).checksum)
            connection.execute("DROP TABLE public.rows")
        assert len(checksums) == 2, (table, one, other)


def test_a_row_that_is_there_twice_counts_twice(connection: row_hash.Connection) -> None:
    connection.execute("CREATE TABLE public.rows (a integer)")
    for insert, expected in (("(1), (2)", False), ("(1), (1)", False), ("(2), (1)", True)):
        connection.execute("TRUNCATE public.rows")
        connection.execute(f"INSERT INTO public.rows VALUES {insert}".encode())
        found = row_hash.truth_of(connection, TABLE)
        if insert == "(1), (2)":
            first = found
        else:
            assert (found == first) is expected


def test_an_empty_table_has_a_checksum_of_zeros(connection: row_hash.Connection) -> None:
    connection.execute("CREATE TABLE public.rows (a integer)")
    assert row_hash.truth_of(connection, TABLE).checksum == "0" * 64
