"""Exports of document stores, restored into a table: what arrives is what they hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from restore.tests.support import command

if TYPE_CHECKING:
    from pathlib import Path

REV = "1-967a00dff5e02add41819138abb3284d"
PATH = "projects/p/databases/(default)/documents/users/"
ROWS = [
    ("a", 'two\nlines \\ "q"', True, "2024-01-31T12:34:56.789Z", {"n": 1, "t": "x"}),
    ("b", None, False, None, [1, None]),
]
PLAIN = [
    {"name": name, "is_active": active, "created_at": at, "settings": settings}
    for _, name, active, at, settings in ROWS
]
KEYS = [row[0] for row in ROWS]


def firestore(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"nullValue": None}
        case bool():
            return {"booleanValue": value}
        case int():
            return {"integerValue": str(value)}
        case str():
            return {"stringValue": value}
        case list():
            return {"arrayValue": {"values": [firestore(item) for item in value]}}
    return {"mapValue": {"fields": {key: firestore(item) for key, item in value.items()}}}


def dynamodb(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case list():
            return {"L": [dynamodb(item) for item in value]}
    return {"M": {key: dynamodb(item) for key, item in value.items()}}


def change(row: dict[str, Any]) -> dict[str, Any]:
    return {"before": None, "after": row, "source": {"table": "users"}, "op": "r"}


def loaded(row: dict[str, Any]) -> dict[str, Any]:
    told = {"record-type": "data", "operation": "load", "table-name": "users"}
    return {"data": row, "metadata": told}


WITH_ID = [{"id": key, **row} for key, row in zip(KEYS, PLAIN, strict=True)]
WITH_KEY = [{"_id": key, **row} for key, row in zip(KEYS, PLAIN, strict=True)]
HITS = [
    {"_index": "users", "_id": key, "_score": 1, "_source": row}
    for key, row in zip(KEYS, PLAIN, strict=True)
]
DOCS = [{"_id": key, "_rev": REV, **row} for key, row in zip(KEYS, PLAIN, strict=True)]
FIELDS = [{name: firestore(value) for name, value in row.items()} for row in PLAIN]
EXPORTS: dict[str, Any] = {
    "mongo": [
        {**row, "created_at": row["created_at"] and {"$date": row["created_at"]}, "_id": row["_id"]}
        for row in WITH_KEY
    ],
    "dynamodb": [{"Item": {k: dynamodb(v) for k, v in row.items()}} for row in WITH_ID],
    "dynamodb-scan": {
        "Items": [{k: dynamodb(v) for k, v in row.items()} for row in WITH_ID],
        "Count": 2,
        "ScannedCount": 2,
    },
    "elasticdump": HITS,
    "elasticsearch": {"took": 1, "hits": {"total": {"value": 2}, "hits": HITS}},
    "couchdb": {
        "total_rows": 2,
        "rows": [{"id": d["_id"], "key": d["_id"], "value": {"rev": REV}, "doc": d} for d in DOCS],
    },
    "couchdb-docs": DOCS,
    "firestore": {
        "documents": [
            {"name": PATH + key, "fields": fields} for key, fields in zip(KEYS, FIELDS, strict=True)
        ]
    },
    "firebase": {"-Nabca": PLAIN[0], "-Nabcb": PLAIN[1]},
    "firebase-database": {"users": {"-Nabca": PLAIN[0], "-Nabcb": PLAIN[1]}},
    "debezium": [change(row) for row in WITH_ID],
    "dms": [loaded(row) for row in WITH_ID],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTS)
def test_export(name: str, database: Any, tmp_path: Path) -> None:
    conn = database.connect()
    conn.execute(
        "CREATE TABLE users (id text PRIMARY KEY, name text, is_active boolean,"
        " created_at timestamptz, settings jsonb)"
    )
    (tmp_path / "users.json").write_text(json.dumps(EXPORTS[name], indent=2))
    done = command.run(str(tmp_path), "--dsn", database.dsn, "--rejects", str(tmp_path / "no"))
    assert done.exit_code == 0, done.output + done.errors
    conn.execute("SET TimeZone = 'UTC'")
    found = conn.execute(
        'SELECT id, name, is_active, to_char(created_at, \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\'),'
        " settings FROM users ORDER BY id"
    ).fetchall()
    prefix = "-Nabc" if name.startswith("firebase") else ""
    assert found == [(prefix + row[0], *row[1:]) for row in ROWS]
