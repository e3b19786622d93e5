"""Any records: a schema is inferred and created, all are restored, and each value is read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore.infer.naming import name_columns
from restore.infer.values import Numeral
from restore.tests.infer.readback import check_same, loads
from restore.tests.support import command

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
INTEGERS = st.integers(-(2**31), 2**31 - 1) | st.integers(-(2**70), 2**70) | st.integers(0, 9)
NUMERALS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=2).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})\.[0-9]{1,30}([eE][+-]?[0-9]{1,5})?", fullmatch=True),
).map(Numeral)
MOMENTS = st.datetimes().map(str) | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
SCALARS = st.one_of(
    st.booleans(),
    INTEGERS,
    NUMERALS,
    TEXT,
    MOMENTS,
    st.dates().map(str),
    st.uuids().map(str),
    st.binary(max_size=4).map(lambda data: f"\\x{data.hex()}"),
    st.from_regex(
        r"[0-9]{4}-[01][0-9]-[0-3][0-9]"
        r"([T ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?",
        fullmatch=True,
    ),
)
VALUES = st.recursive(
    st.none() | SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
# The values of one field are usually of one kind.
KINDS = st.sampled_from(
    [
        *(st.booleans(), INTEGERS, NUMERALS, INTEGERS | NUMERALS, TEXT, MOMENTS, VALUES),
        *(st.datetimes().map(str), st.dates().map(str), st.uuids().map(str)),
        st.binary(max_size=4).map(lambda data: {"type": "Buffer", "data": list(data)}),
        *(st.lists(st.none() | each, max_size=3) for each in (INTEGERS, NUMERALS, TEXT)),
        *(st.lists(st.none() | each, max_size=3) for each in (MOMENTS, st.booleans())),
        st.lists(st.uuids().map(str), max_size=3),
    ]
)
NAMES = st.one_of(
    TEXT,
    st.sampled_from(["id", "xmin", "ctid", "select", "userId", "user_id", "a" * 63, "é" * 40, ""]),
)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Records whose fields may be null or absent."""
    fields = draw(st.dictionaries(NAMES, KINDS, min_size=1, max_size=5))
    optional = {name: (st.none() | kind) for name, kind in fields.items()}
    always = draw(st.sets(st.sampled_from(sorted(fields)), min_size=1))
    record = st.fixed_dictionaries(
        {name: fields[name] for name in fields if name in always},
        optional={name: optional[name] for name in fields if name not in always},
    )
    return draw(st.lists(record, max_size=6))


def written(value: Any) -> str:
    """Write a value as JSON, and numerals as they are."""
    if isinstance(value, Numeral):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(k)}: {written(v)}' for k, v in value.items())}}}"
    return json.dumps(value)


@pytest.mark.slow
def test_each_value_is_read_back(database: Any, tmp_path: Path) -> None:
    conn = database.connect()
    conn.prepare_threshold = None  # the columns change
    words = ("--dsn", database.dsn, "--create", "--rejects", str(tmp_path / "rejects"))

    @given(records=tables())
    def check(records: list[dict[str, Any]]) -> None:
        text = f"[{', '.join(map(written, records))}]"
        (tmp_path / "t.json").write_text(text, encoding="utf-8")
        conn.execute("DROP TABLE IF EXISTS t")
        done = command.run(str(tmp_path / "t.json"), *words, "--progress", "none")
        assert done.exit_code == 0, text + done.output + done.errors
        names = dict.fromkeys(name for record in records for name in record)
        check_same(conn, "t", loads(text), name_columns(names, "t", {}))

    check()
