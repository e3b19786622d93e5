"""Exports restored by the command: which table a file's records go to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from restore.tests.support import command

if TYPE_CHECKING:
    from pathlib import Path

ONE = {"id": 1, "isActive": False}
EXPORTS: dict[str, Any] = {
    "users.json": {"count": 1, "next": None, "results": [ONE]},
    "users.jsonl": {"data": {"allUsers": {"edges": [{"node": ONE}]}}},  # its only list
    "backup.json": {"data": {"users": {"nodes": [ONE]}}},
    "Users.json": {"@odata.context": "x", "value": [{"@odata.etag": "1"} | ONE]},
    "user.json": {"$id": "1", "$values": [{"$id": "2"} | ONE]},
    "users.geojson": {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": ONE, "geometry": None}],
    },
    "dump.json": {"data": [{"type": "users", "id": "1", "attributes": {"is-active": False}}]},
    "entities.jsonl": {"type": "api::user.user", "id": 1, "data": {"isActive": False}},
    "dump.jsonl": {"model": "public.users", "pk": 1, "fields": {"is_active": False}},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTS)
def test_the_records_are_found_and_go_to_their_table(
    name: str, database: Any, tmp_path: Path
) -> None:
    conn = database.connect()
    conn.execute("CREATE TABLE users (id int PRIMARY KEY, is_active bool NOT NULL DEFAULT true)")
    folder = tmp_path / "backup"
    folder.mkdir()
    (folder / name).write_text(json.dumps(EXPORTS[name]), encoding="utf-8")
    words = ("--map", f"{name}=users") if name == "dump.jsonl" else ()

    done = command.run(str(folder), "--dsn", database.dsn, *words)

    assert done.exit_code == 0, done.output + done.errors
    assert conn.execute("SELECT * FROM users").fetchall() == [(1, False)]
