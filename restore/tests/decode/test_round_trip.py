"""What PostgreSQL holds, dumped as people dump it, comes back exactly, in every type.

Values are written through PostgreSQL, dumped as ``row_to_json``, as Python or as JavaScript does,
restored by the command into a table of the same columns, and compared inside PostgreSQL.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import itertools
import json
import math
import re
import uuid
from typing import TYPE_CHECKING, Any

import hypothesis
import psycopg
import pytest
from hypothesis import strategies as st

from restore.tests.support.everything import (
    ANY,
    BEYOND_JAVASCRIPT,
    BEYOND_PYTHON,
    COMMON,
    EDGES,
    JAVASCRIPT,
    OPTIONAL,
    TYPES,
)
from restore.tests.support.examples import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from restore.tests.support.target import Target

    # The texts of values, by the type of their column.
    Columns = Mapping[str, Sequence[str | None]]

# Types that drivers leave as the text that PostgreSQL gives.
AS_TEXT = {"int4range", "tstzrange", "daterange", "int4multirange"}
AS_TEXT_JS = AS_TEXT | {
    *("bigint", "numeric", "numeric(20,6)", "time", "time(3)", "timetz", "inet", "cidr"),
}
# Re-spelled by every parser; equal as documents all the same.
DOCUMENTS = {"json": "{}::jsonb", "jsonb": "{}", "jsonb[]": "{}"}

settings = hypothesis.settings(
    max_examples=examples(5),
    deadline=None,
    # The database stays and is emptied; and to shrink is to restore hundreds of times.
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


class Tables:
    """A table with a column of each type that the server has, and its original in a schema."""

    def __init__(self, target: Target) -> None:
        self.target = target
        conn = target.conn
        conn.execute(TYPES)
        self.types = list(ANY)
        for name in OPTIONAL:
            if name != "xml":
                there = "SELECT 1 FROM pg_available_extensions WHERE name = %s"
                if conn.execute(there, [name]).fetchone() is None:
                    continue
                conn.execute(f"CREATE EXTENSION {name}")
            else:
                try:
                    conn.execute("SELECT xml '<a/>'")
                except psycopg.errors.FeatureNotSupported:
                    continue
            self.types.append(name)
        columns = ", ".join(f"c{n} {kind}" for n, kind in enumerate(self.types))
        conn.execute(
            f"CREATE SCHEMA original; CREATE TABLE original.everything (id int, {columns});"
            f" CREATE TABLE everything (id int PRIMARY KEY, {columns})"
        )

    def fill(self, columns: Columns) -> None:
        """Write values through PostgreSQL, a column each; where there are none left, NULL."""
        self.target.conn.execute("TRUNCATE everything, original.everything")
        rows = itertools.zip_longest(*(columns.get(kind, ()) for kind in self.types))
        casts = ", ".join(f"CAST(%s AS {kind})" for kind in self.types)
        with self.target.conn.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO original.everything VALUES (%s, {casts})",
                [(number, *row) for number, row in enumerate(rows)],
            )

    def select(self, as_text: set[str]) -> list[dict[str, Any]]:
        """Return the rows as psycopg loads them, but for some types as texts."""
        parts = [
            f"c{n}{'::text' if k in as_text else ''} AS c{n}" for n, k in enumerate(self.types)
        ]
        query = f"SELECT id, {', '.join(parts)} FROM original.everything ORDER BY id"
        with self.target.conn.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            rows: list[dict[str, Any]] = cursor.execute(query).fetchall()
            return rows

    def restore(self, texts: Sequence[str], forms: dict[str, str]) -> None:
        """Restore records, and compare what arrived with the original.

        Args:
            texts: the records.
            forms: how a type's values are compared; else by their text form.
        """
        self.target.write_raw({"everything": texts})
        self.target.restore(exit_code=None)
        rejects = self.target.refused("everything")
        problems = [f"{r['message']}: {r['raw'][:300]}" for r in rejects.values()]
        for n, kind in enumerate(self.types):
            both = [forms.get(kind, "{}::text").format(f"{side}.c{n}") for side in ("o", "e")]
            found = self.target.rows(
                f"SELECT o.c{n}::text, e.c{n}::text, row_to_json(e)->>'c{n}' FROM"
                " original.everything o JOIN everything e USING (id)"
                f" WHERE {both[0]} IS DISTINCT FROM {both[1]}"
            )
            problems += [f"{kind}: {old!r} became {new!r}" for old, new, _ in found]
        assert not problems, "\n".join(problems)


@pytest.fixture
def tables(target: Target) -> Tables:
    return Tables(target)


def values(narrowed: dict[str, st.SearchStrategy[str]]) -> st.SearchStrategy[Columns]:
    """Draw a few values for each type."""
    strategies = ANY | OPTIONAL | narrowed
    return st.fixed_dictionaries(
        {kind: st.lists(each | st.none(), max_size=5) for kind, each in strategies.items()}
    )


def edges(beyond: dict[str, set[str]]) -> Columns:
    return {
        kind: [value for value in texts if value not in beyond.get(kind, set())]
        for kind, texts in EDGES.items()
    }


# As row_to_json does, in whatever time zone the session is.


def dump_by_server(tables: Tables, zone: str) -> list[str]:
    conn = tables.target.conn
    conn.execute(f"SET TimeZone = '{zone}'")
    rows = conn.execute("SELECT row_to_json(t)::text FROM original.everything t ORDER BY id")
    texts = [text for (text,) in rows.fetchall()]
    conn.execute("SET TimeZone = 'UTC'")
    return texts


zones = st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York", "Europe/Berlin"])


@pytest.mark.slow
@settings
@hypothesis.given(columns=values({}), zone=zones)
@hypothesis.example(columns=edges({}), zone="UTC")
@hypothesis.example(columns=edges({}), zone="Asia/Kathmandu")
def test_as_row_to_json_writes(tables: Tables, columns: Columns, zone: str) -> None:
    tables.fill(columns)
    tables.restore(dump_by_server(tables, zone), {})


# As Python does: json.dumps with the usual default=.

_NUMBER = re.compile('"\ue000([^"]*)"')


def python_default(decimals: type[str] | None) -> Callable[[Any], Any]:
    """Return what people give json.dumps for what it does not know."""

    def default(value: Any) -> Any:
        match value:
            case decimal.Decimal():
                return str(value) if decimals is str else f"\ue000{value}"
            case dt.datetime() | dt.date() | dt.time():
                return value.isoformat()
            case bytes():
                return base64.b64encode(value).decode()
        return str(value)  # UUID, timedelta, addresses

    return default


def dump_by_python(rows: list[dict[str, Any]], decimals: type[str] | None) -> list[str]:
    dumped = [json.dumps(row, default=python_default(decimals)) for row in rows]
    # The other way is a number with all its digits, as simplejson writes it.
    return [_NUMBER.sub(r"\1", text.replace("\\ue000", "\ue000")) for text in dumped]


@pytest.mark.slow
@settings
@hypothesis.given(columns=values(COMMON), decimals=st.sampled_from([str, None]))
@hypothesis.example(columns=edges(BEYOND_PYTHON), decimals=str)
@hypothesis.example(columns=edges(BEYOND_PYTHON), decimals=None)
def test_as_python_writes(tables: Tables, columns: Columns, decimals: type[str] | None) -> None:
    tables.fill(columns)
    tables.restore(dump_by_python(tables.select(AS_TEXT), decimals), DOCUMENTS)


# As JavaScript does: what node-postgres gives, through JSON.stringify.


def javascript(kind: str, value: Any) -> Any:  # noqa: PLR0911 - one return for each kind
    """Return a value as node-postgres gives it, and JSON.stringify then takes it."""
    match value:
        case dt.datetime():
            utc = value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
            return f"{utc.isoformat(timespec='milliseconds')}Z"
        case dt.date():
            return f"{value.isoformat()}T00:00:00.000Z"
        case dt.timedelta():
            return interval(value)
        case bytes():
            return {"type": "Buffer", "data": list(value)}
        case list() if kind.endswith("[]"):
            return [javascript(kind[:-2], member) for member in value]
        case decimal.Decimal() | uuid.UUID():
            return str(value)
        case float():
            return number(value)
        case str() if kind == "point":
            x, y = value[1:-1].split(",")
            return {"x": number(float(x)), "y": number(float(y))}
        case dict() | list() if kind == "json" or kind.startswith("jsonb"):
            return document(value)
    return value


def interval(value: dt.timedelta) -> dict[str, float | None]:
    """Return the parts that are not 0, as postgres-interval names them."""
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    milliseconds = number(value.microseconds / 1000)
    parts = {"hours": hours, "minutes": minutes, "seconds": seconds, "milliseconds": milliseconds}
    return {unit: part for unit, part in parts.items() if part}


def number(value: float) -> float | None:
    """Return a number as JSON.stringify writes it: 1 for 1.0, null for NaN."""
    if not math.isfinite(value):
        return None
    if not value.is_integer() or abs(value) >= 10**21:
        return value
    return int(decimal.Decimal(repr(value)))  # the shortest digits that mean it, then zeros


def document(value: Any) -> Any:
    match value:
        case float():
            return number(value)
        case list():
            return [document(member) for member in value]
        case dict():
            return {key: document(member) for key, member in value.items()}
    return value


@pytest.mark.slow
@settings
@hypothesis.given(columns=values(JAVASCRIPT))
@hypothesis.example(columns=edges(BEYOND_JAVASCRIPT))
def test_as_javascript_writes(tables: Tables, columns: Columns) -> None:
    tables.fill(columns)
    kinds = {f"c{n}": kind for n, kind in enumerate(tables.types)} | {"id": "int"}
    records = [
        {name: javascript(kinds[name], value) for name, value in row.items()}
        for row in tables.select(AS_TEXT_JS)
    ]
    texts = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records]
    tables.restore(texts, DOCUMENTS)
