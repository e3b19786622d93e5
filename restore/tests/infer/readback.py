"""Whether a table holds exactly what records say: each value is read back and compared."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.types.json import set_json_loads

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# As many digits as numeric holds.
_EXACT = Context(prec=200_000)
_TYPES = """
    SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0
"""


def loads(text: str | bytes) -> Any:
    """Parse JSON with all digits of its numbers."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def check_same(
    conn: Any,
    table: str,
    records: Iterable[dict[str, Any]],
    columns: Mapping[str, str] | None = None,
) -> None:
    """Assert that the rows of a table are the records, value by value.

    Args:
        conn: a connection to the database.
        table: the table.
        records: as ``loads`` gives them.
        columns: the columns of fields that have another name.
    """
    set_json_loads(loads, conn)
    conn.execute("SET TimeZone = 'UTC'; SET extra_float_digits = 1")
    name = sql.Identifier(table)
    types = dict(conn.execute(_TYPES, [name.as_string()]).fetchall())
    names = list(types)
    listed = sql.SQL(", ").join(map(sql.Identifier, names))
    rows = conn.execute(sql.SQL("SELECT {} FROM {}").format(listed, name)).fetchall()
    fields = {column: field for field, column in (columns or {}).items()}
    wanted = Counter(
        json.dumps([_of_source(r.get(fields.get(n, n)), types[n]) for n in names]) for r in records
    )
    found = Counter(json.dumps([_of_row(value) for value in row]) for row in rows)
    assert found == wanted, (
        types,
        (wanted - found).most_common(3),
        (found - wanted).most_common(3),
    )


def _of_source(value: Any, kind: str) -> Any:
    """Return a JSON value in the one form in which values of its column's type are compared."""
    if isinstance(value, list) and kind.endswith("[]"):
        return [_of_source(member, kind.removesuffix("[]")) for member in value]
    if isinstance(value, str) and kind.startswith(("timestamp", "date")):
        return _instant(dt.datetime.fromisoformat(value))
    if isinstance(value, dict) and kind == "bytea":
        return f"\\x{bytes(map(int, value['data'])).hex()}"
    return _plain(value)


def _of_row(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return _instant(value)
    if isinstance(value, dt.date):
        return _instant(dt.datetime.combine(value, dt.time()))
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, list):
        return [_of_row(member) for member in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int() | float() | Decimal():
            number = Decimal(repr(value) if isinstance(value, float) else value)
            return {"number": format(_EXACT.normalize(number), "f") if number else "0"}
        case list():
            return [_plain(member) for member in value]
        case dict():
            return {"object": sorted((key, _plain(member)) for key, member in value.items())}
    return str(value)  # a UUID


def _instant(moment: dt.datetime) -> str:
    """Return a moment in UTC, if it has a zone: what has none differs from all that have one."""
    return (moment.astimezone(dt.UTC) if moment.tzinfo else moment).isoformat()
