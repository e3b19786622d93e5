"""Values that PostgreSQL refuses, or that may mean several things, are read as options say."""

from __future__ import annotations

import functools
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from restore import Options
from restore.commands.retry import retry
from restore.decode.codec import Codec, make_codec
from restore.decode.convert import Converter
from restore.decode.packer import IS_BUILT
from restore.decode.policies import UNIT_NS, ColumnReading, DateFormat, ValuePolicies
from restore.decode.types import Shape
from restore.errors import SchemaError
from restore.tests.fuzz.packing import CODECS, COLUMNS, as_read, bytes_of, pack
from restore.tests.support.cells import LOST, Case, check

if TYPE_CHECKING:
    from restore.decode.rows import PackedRows
    from restore.tests.support.target import Target


RULES = ValuePolicies(
    empty_string="null",
    zero_date="null",
    fraction="round",
    date_format=DateFormat("DMY", "/"),
)
READINGS = [
    ColumnReading(),
    *(ColumnReading(unit=unit, is_inferred=bool(n % 2)) for n, unit in enumerate(UNIT_NS)),
    ColumnReading(parses_strings=True),
    ColumnReading(bytea="hex"),
    ColumnReading(bytea="base64"),
]
ODD = st.sampled_from(
    [
        *('""', '"0000-00-00"', '"0000-00-00 00:00:00"', '"31/01/2024"', '"31/01/2024 10:00:00Z"'),
        *('"31/01/2024 00:00:00"', '"32/01/2024"', "1706704496", "1706704496.5", "0", "-86400"),
        *("1706704496789", '"1706704496789"', "1706704496789012", "1706704496789012345"),
        *(
            '"2024-01-31T23:59:59.9999995Z"',
            '"2024-01-31 10:00:00.1234565+05"',
            '"23:59:59.9999999"',
        ),
        *('"10:00:00.1234565"', '"{\\"a\\": [1]}"', '" [1]\\n"', '"null"', '"{"', '"\\\\x00fF"'),
        *(
            '"0x00ff"',
            '"deadbeef"',
            '"QUJD"',
            "1.5",
            '"1.5"',
            "true",
            '"t"',
            '"f"',
            "99999999999999",
        ),
        *("9999999999999999999", '"9999-12-31T23:59:59.9999999Z"', '"1 day 00:00:01.1234567"'),
    ]
)


@functools.cache
def codec_of(name: str, reading: ColumnReading, *, wide: bool) -> Codec | None:
    """Return the codec of a column by the rules; None: records of that shape are not packed."""
    column = COLUMNS[name]
    converter = Converter("UTC", replace(RULES, columns={name: reading}))
    if converter.log.policies.is_wide(column) > wide:
        return None
    names = frozenset({name} if wide else ())
    codec = make_codec((column,), Shape(frozenset(), names, frozenset()), converter)
    return codec if codec.native is not None else None


@pytest.mark.slow
@pytest.mark.skipif(not IS_BUILT, reason="restore.decode._native is not built")
@pytest.mark.parametrize("name", [name for name, wide in CODECS if wide and "[" not in name])
@hypothesis.given(values=st.lists(ODD | st.text("0123456789.-:/ TZ", max_size=30).map(json.dumps)))
def test_c_applies_policies_as_python_does(name: str, values: list[str]) -> None:
    records = [b'{"%b": %b}' % (name.encode(), value.encode()) for value in values]
    for reading, is_wide in itertools.product(READINGS, (False, True)):
        codec = codec_of(name, reading, wide=is_wide)
        converted = codec_of(name, reading, wide=True) or codec
        if codec is None or converted is None:
            continue
        found = pack(codec, b"[%b]" % b",".join(records))
        assert found is not None
        for place in set(range(found.count)) - set(found.declined):
            expected = converted.decode(b"[%b]" % records[place])
            row = found.rows[place : place + 1]
            assert as_read(name, bytes_of(found, place)) == as_read(name, form_of(expected))
            assert list(row.changes()) == [list(c) for c in expected.changes()], records[place]


def form_of(rows: PackedRows) -> bytes:
    """Return rows as a COPY sends them."""
    return b"".join(rows.pieces(1 << 30))


def changed(target: Target, table: str) -> dict[str, int]:
    """Return what the report says that options changed in a table."""
    counts: dict[str, int] = target.counts()[table]["changed"]
    return counts


@pytest.mark.slow
def test_nul_is_removed_or_replaced(target: Target) -> None:
    text = [('"a\\u0000b\\u0000"', "ab"), ('"\\\\u0000"', "\\u0000"), ('"c"', "c")]
    jsonb = [
        ('{"k": "a\\u0000\\u0000b", "l": "\\\\u0000"}', '{"k": "ab", "l": "\\\\u0000"}'),
        ('["\\\\\\u0000"]', '["\\\\"]'),
    ]
    texts = [('["\\u0000", "b"]', '{"",b}')]
    check(target, {"text": text, "jsonb": jsonb, "text[]": texts}, "--nul", "remove")
    assert changed(target, "cells_0") == {"v: --nul remove": 1}
    assert changed(target, "cells_1") == {"v: --nul remove": 2}
    replaced = {
        "varchar(4)": [('"a\\u0000b"', "a\ufffdb")],
        "jsonb": [('{"k": "a\\u0000"}', '{"k": "a\ufffd"}')],
    }
    check(target, replaced, "--nul", "replace", table="replaced")
    check(target, {"text": [('"a\\u0000b"', LOST), ('"c"', "c")]}, table="rejected")


@pytest.mark.slow
def test_empty_strings_are_null_in_columns_that_are_no_text(target: Target) -> None:
    kinds = (
        *("int", "bigint", "numeric(5,2)", "float8", "bool", "uuid", "date", "timestamp"),
        *("timestamptz", "time", "interval", "inet", "jsonb", "json", "int[]", "point"),
    )
    values: dict[str, list[Case]] = {
        kind: [('""', None), ("null", None), ('""', None)] for kind in kinds
    }
    texts: dict[str, list[Case]] = {
        "text": [('""', "")],
        "char(2)": [('""', "")],
        "bytea": [('""', "\\x")],
    }
    check(target, {**values, **texts}, "--empty-string", "null")
    for number in range(len(kinds)):
        assert changed(target, f"cells_{number}") == {"v: --empty-string null": 2}, kinds[number]
    assert changed(target, f"cells_{len(kinds)}") == {}
    check(target, {"int NOT NULL": [('""', LOST), ("1", "1")]}, "--empty-string", "null", table="n")


@pytest.mark.slow
def test_zero_dates_are_null(target: Target) -> None:
    zero: list[Case] = [
        ('"0000-00-00"', None),
        ('"0000-00-00 00:00:00"', None),
        ('"0000-00-00T00:00:00"', None),
        ('"0000-00-00 00:00:00.000"', None),
        ('"0000-00-01"', LOST),
    ]
    kinds: dict[str, list[Case]] = {
        "date": [*zero, ('"2024-01-31"', "2024-01-31")],
        "timestamp": [*zero, ('"2024-01-31 10:00:00"', "2024-01-31 10:00:00")],
        "timestamptz": [*zero, ('"2024-01-31 10:00:00"', "2024-01-31 10:00:00+00")],
        "text": [('"0000-00-00"', "0000-00-00")],
    }
    check(target, kinds, "--zero-date", "null")
    for number in range(3):
        assert changed(target, f"cells_{number}") == {"v: --zero-date null": 4}
    check(target, {"date": [('"0000-00-00"', LOST)]}, table="rejected")


def test_digits_of_a_second_are_rounded(target: Target) -> None:
    check(
        target,
        {
            "timestamptz": [
                ('"2024-01-31T12:34:56.1234567Z"', "2024-01-31 12:34:56.123457+00"),
                ('"2024-01-31T12:34:56.1234565+01:00"', "2024-01-31 11:34:56.123456+00"),
                ('"2024-01-31T12:34:56.1234575Z"', "2024-01-31 12:34:56.123458+00"),
                ('"2024-01-31T12:34:56.123456501Z"', "2024-01-31 12:34:56.123457+00"),
                ('"2024-12-31T23:59:59.9999999Z"', "2025-01-01 00:00:00+00"),
                ('"2024-01-31T12:34:56.1234560Z"', "2024-01-31 12:34:56.123456+00"),
                ('"2024-01-31T12:34:56Z"', "2024-01-31 12:34:56+00"),
            ],
            "timestamp(3)": [
                ('"2024-01-31T12:34:56.1235"', "2024-01-31 12:34:56.124"),
                ('"2024-01-31T12:34:56.1234999"', "2024-01-31 12:34:56.123"),
                ("1706704496.7895", "2024-01-31 12:34:56.79"),
            ],
            "timestamp(0)": [('"2024-01-31T12:34:56.5"', "2024-01-31 12:34:56")],
            "time": [
                ('"12:34:56.7890125"', "12:34:56.789012"),
                ('"23:59:59.9999999"', LOST),
            ],
            "interval": [('"00:00:01.2345678"', "00:00:01.234568")],
        },
        *("--fraction", "round"),
    )
    assert changed(target, "cells_0") == {"v: --fraction round": 5}
    assert changed(target, "cells_1") == {"v: --fraction round": 3}
    assert changed(target, "cells_3") == {"v: --fraction round": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unit", "number"),
    [("s", "-86400"), ("ms", "-86400000"), ("us", "-86400000000"), ("ns", "-86400000000000")],
)
def test_numbers_are_of_the_unit_that_is_given(target: Target, unit: str, number: str) -> None:
    day_before = "1969-12-31 00:00:00"
    check(
        target,
        {
            "timestamp": [(number, day_before), ("0", "1970-01-01 00:00:00")],
            "timestamptz": [
                (number, f"{day_before}+00"),
                ('"2024-01-31"', "2024-01-31 00:00:00+00"),
            ],
            "date": [(number, "1969-12-31"), (f"{number}1", LOST)],
            "interval": [(number, "-24:00:00"), (f'"{number}"', "-24:00:00"), ('"1 day"', "1 day")],
        },
        *("--epoch", unit),
    )


@pytest.mark.slow
def test_a_number_is_no_finer_than_its_column(target: Target) -> None:
    check(
        target,
        {
            "timestamp": [
                ("1706704496789012345", LOST),
                ("1706704496789012000", "2024-01-31 12:34:56.789012"),
                ("9999999999999999999", LOST),
            ],
            "interval": [("1500", LOST), ("2000", "00:00:00.000002")],
        },
        *("--epoch", "ns"),
    )
    check(target, {"interval": [("1.5", "00:00:01.5"), ("1e30", LOST)]}, "--epoch", "s", table="s")


def test_a_unit_may_be_one_columns(target: Target) -> None:
    target.conn.execute("CREATE TABLE jobs (id int PRIMARY KEY, at timestamptz, took interval)")
    target.write(jobs=[{"id": 1, "at": 1706704496789, "took": 5}])
    target.restore("--epoch", "ms,jobs.took=s")
    assert target.rows("SELECT at::text, took::text FROM jobs") == [
        ("2024-01-31 12:34:56.789+00", "00:00:05")
    ]
    output = target.restore("--epoch", "jobs.took_s=s", "--clean", exit_code=2)
    assert "jobs.took_s" in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("timestamp", [73526400000]),
        ("timestamp", [1706704496, 1706704496789]),
        ("timestamptz", [1706704496789, 1706704496]),
        ("timestamptz", [0]),
        ("timestamptz", [20240131]),
        ("date", [19753, 19754]),
        ("interval", [3605000, "01:00:05"]),
        ("interval", ["5"]),
    ],
)
def test_a_unit_that_is_not_certain_is_asked_for(
    target: Target, kind: str, values: list[Any]
) -> None:
    target.conn.execute(f"CREATE TABLE t (id int PRIMARY KEY, v {kind}); INSERT INTO t VALUES (9)")
    target.write(t=[{"id": n, "v": value} for n, value in enumerate(values)])
    output = target.restore("--clean", exit_code=2)
    assert "column v" in output
    assert "--epoch" in output
    assert target.rows("SELECT id FROM t") == [(9,)]


@pytest.mark.slow
def test_a_stray_number_is_rejected(target: Target) -> None:
    check(
        target,
        {
            "timestamptz": [*[('"2024-01-31"', "2024-01-31 00:00:00+00")] * 2, ("12", LOST)],
            "interval": [('"1 day"', "1 day"), ('"2 days"', "2 days"), ("12", LOST)],
        },
    )


DOCUMENTS: list[Case] = [
    ('"{\\"a\\": [1, \\"\\u00e9\\"]}"', '{"a": [1, "é"]}'),
    ('" [1, 2]\\n"', "[1, 2]"),
    ('"null"', "null"),
    ("null", None),
    ('{"b": 1}', '{"b": 1}'),
]


@pytest.mark.slow
def test_strings_of_json_columns_are_parsed(target: Target) -> None:
    scalars: list[Case] = [('"12"', "12"), ('"\\"x\\""', '"x"'), ('"x"', LOST), ('""', LOST)]
    nul: Case = ('"{\\"k\\": \\"\\\\u0000\\"}"', LOST)
    check(
        target,
        {
            "jsonb": [*DOCUMENTS, *scalars, nul],
            "json": [*DOCUMENTS, *scalars],
            "jsonb[]": [('["{\\"a\\": 1}", null]', '{"{\\"a\\": 1}",NULL}')],
        },
        *("--json-strings", "parse"),
    )
    kept = [('"{\\"a\\": 1}"', '"{\\"a\\": 1}"'), ('{"b": 1}', '{"b": 1}')]
    check(target, {"jsonb": kept, "json": kept}, "--json-strings", "keep", table="kept")


@pytest.mark.slow
def test_strings_that_all_hold_documents_are_parsed_with_a_warning(target: Target) -> None:
    check(target, {"jsonb": DOCUMENTS[:4]})
    [warning] = target.counts()["cells_0"]["warnings"]
    assert "--json-strings keep" in warning
    kept = [('"{\\"a\\": 1}"', '"{\\"a\\": 1}"'), ('"b"', '"b"')]
    check(target, {"jsonb": kept}, table="kept")
    [warning] = target.counts()["kept_0"]["warnings"]
    assert "--json-strings parse" in warning
    check(target, {"jsonb": [('"b"', '"b"'), ('{"c": "{}"}', '{"c": "{}"}')]}, table="plain")
    assert target.counts()["plain_0"]["warnings"] == []


@pytest.mark.slow
def test_bytes_are_read_in_the_form_that_a_columns_values_have(target: Target) -> None:
    check(
        target,
        {
            "bytea": [('"0x00ff10"', "\\x00ff10"), ('"0xDEADBEEF"', "\\xdeadbeef"), ('""', "\\x")],
            "bytea NOT NULL": [('"\\\\x00ff"', "\\x00ff"), ('"\\\\xDEAD"', "\\xdead")],
            "bytea UNIQUE": [('"QUJD"', "\\x414243"), ('"deadbeef"', "\\x75e69d6de79f")],
            "bytea CHECK (true)": [
                ('{"$base64": true, "encoded": "AP8Q"}', "\\x00ff10"),
                ('{"$base64": "AP8Q"}', "\\x00ff10"),
                ('{"$base64": true}', LOST),
            ],
            "bytea[]": [('["0x00ff10", null]', '{"\\\\x00ff10",NULL}')],
        },
    )


def test_bytes_that_may_be_hex_or_base64_are_asked_for(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v bytea)")
    target.write(t=[{"id": 1, "v": "deadbeef"}])
    assert "--bytea hex" in target.restore(exit_code=2)
    target.restore("--bytea", "hex")
    assert target.rows("SELECT v FROM t") == [(b"\xde\xad\xbe\xef",)]
    target.restore("--bytea", "base64", "--clean")
    assert target.rows("SELECT encode(v, 'base64') FROM t") == [("deadbeef",)]


@pytest.mark.slow
def test_bytes_of_several_forms_are_read_where_they_are_certain(target: Target) -> None:
    mixed: list[Case] = [
        ('"QUJD"', "\\x414243"),
        ('"0x00ff10"', LOST),
        ('"0xdeadbeef"', "\\xdeadbeef"),
    ]
    check(target, {"bytea": mixed})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("written", "texts"),
    [
        ("DD/MM/YYYY", ["31/01/2024", "01/02/2024", "1/2/2024"]),
        ("MM-DD-YYYY", ["01-31-2024", "02-01-2024", "2-1-2024"]),
        ("DD.MM.YYYY", ["31.01.2024", "01.02.2024", "01.2.2024"]),
        ("YYYY/MM/DD", ["2024/01/31", "2024/02/01", "2024/2/1"]),
        ("DDMMYYYY", ["31012024", "01022024", "01022024"]),
    ],
)
def test_dates_are_read_as_their_format_says(
    target: Target, written: str, texts: list[str]
) -> None:
    days = ["2024-01-31", "2024-02-01", "2024-02-01"]
    pairs = list(zip(map(json.dumps, texts), days, strict=True))
    check(
        target,
        {
            "date": [*pairs, ('"2024-03-04"', "2024-03-04"), ('"2024-02-30"', LOST)],
            "timestamp": [
                *((text, f"{day} 00:00:00") for text, day in pairs),
                *((f'{text[:-1]} 10:00:00.5"', f"{day} 10:00:00.5") for text, day in pairs),
            ],
            "timestamptz": [
                (f'{text[:-1]} 10:00:00+02:00"', f"{day} 08:00:00+00") for text, day in pairs
            ],
        },
        *("--date-format", written),
    )


def test_days_before_months_are_not_guessed(target: Target) -> None:
    check(target, {"date": [('"01/02/2024"', LOST), ('"2024-02-01"', "2024-02-01")]})


def test_odd_forms_are_packed_in_one_copy(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a timestamptz, b bool, c bool, d float8)"
    )
    target.write(
        t=[
            {
                "id": str(n),
                "a": f"2024-01-31 12:34:56.{n:03} UTC",
                "b": n % 2,
                "c": "t",
                "d": f"{n}.5",
            }
            for n in range(500)
        ]
    )
    report = target.load()
    [table] = report.tables
    assert (table.levels.batch, table.loaded) == (500, 500)
    assert target.rows("SELECT a::text, b, c, d FROM t WHERE id = 7") == [
        ("2024-01-31 12:34:56.007+00", True, True, 7.5)
    ]


def test_rejects_are_retried_by_the_same_policies(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v jsonb, at timestamptz)")
    target.write(t=[{"id": 1, "v": '{"a": 1}', "at": "soon"}])
    target.restore("--json-strings", "keep", exit_code=3)
    rejects = target.rejects / "t.jsonl"
    rejects.write_text(rejects.read_text().replace("soon", "2024-01-31"))
    with pytest.raises(SchemaError, match="--json-strings parse"):
        retry(rejects, Options(backup=Path(), dsn=target.dsn))
    retry(rejects, Options(backup=Path(), dsn=target.dsn, json_strings="keep"))
    assert target.rows("SELECT v::text FROM t WHERE id = 1") == [('"{\\"a\\": 1}"',)]
