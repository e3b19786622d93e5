"""Public reports of exports that are no JSON, or no list of rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from restore.tests.support.target import Target


@pytest.fixture
def users(target: Target) -> Target:
    """A table to which every export here belongs."""
    target.conn.execute("CREATE TABLE users (id int PRIMARY KEY, v text, d jsonb)")
    return target


def write(target: Target, text: str, name: str = "users.json") -> None:
    (target.backup / name).write_text(text, encoding="utf-8")


def rows(target: Target) -> list[tuple[int, str]]:
    return target.rows("SELECT id, v FROM users ORDER BY id")


def test_the_aligned_output_of_psql(users: Target) -> None:
    """pgMustard/pgMustard#44: psql writes a title, a plus at each line's end and a count."""
    write(
        users,
        " json_agg \n----------\n"
        ' [{"id":1,"v":"a"}, +\n  {"id":2,"v":"b +"}, +\n  {"id":3,"v":"c"}]\n(1 row)\n\n',
    )
    users.restore()
    assert rows(users) == [(1, "a"), (2, "b +"), (3, "c")]


def test_line_ends_that_copy_has_escaped(users: Target) -> None:
    r"""dba.stackexchange.com/questions/318996: COPY writes \n between the records of json_agg."""
    write(users, r'[{"id":1,"v":"a"}, \n {"id":2,"v":"b"}, \n {"id":3,"v":"c"}]')
    users.restore()
    assert rows(users) == [(1, "a"), (2, "b"), (3, "c")]


def test_backslashes_that_copy_has_doubled(users: Target) -> None:
    """pgweekly.github.io/en/2026/06/copy-to-json-format.html: COPY escapes JSON once more."""
    lines = [
        r'{"id":1,"v":"a"}',
        r'{"id":2,"v":"say \\"hi\\""}',  # no JSON: the quotes end the text
        r'{"id":3,"v":"line\\nbreak"}',  # JSON, of another text than the one that was exported
    ]
    write(users, "\n".join(lines), "users.jsonl")
    users.restore()
    assert rows(users) == [(1, "a"), (2, 'say "hi"'), (3, "line\nbreak")]


def test_a_comma_that_is_missing(users: Target) -> None:
    """TablePlus/TablePlus#407: every so often there is no comma between two records."""
    write(users, '[\n  {"id": 1, "v": "a"}  {"id": 2, "v": "b"},\n  {"id": 3, "v": "c"}\n]')
    users.restore(exit_code=None)
    assert rows(users) == [(1, "a"), (2, "b"), (3, "c")]


def test_line_ends_within_texts(users: Target) -> None:
    """TablePlus/TablePlus-Windows#379: line ends in texts are not escaped."""
    write(users, '[{"id": 1, "v": "a"},\n{"id": 2, "v": "b\nb"},\n{"id": 3, "v": "c"}]')
    users.restore(exit_code=3)
    assert rows(users) == [(1, "a"), (3, "c")]
    [reject] = users.refused("users").values()
    assert reject["raw"] == '{"id": 2, "v": "b\nb"}'


def test_a_list_under_its_query(users: Target) -> None:
    """dbeaver/dbeaver#18712: the only key is the query."""
    write(users, json.dumps({"select *\nfrom users": [{"id": 1, "v": "a"}]}))
    [line] = users.restore(exit_code=2).splitlines()
    assert "--map" in line
    users.restore("--map", "select *\nfrom users=users")
    assert rows(users) == [(1, "a")]


def test_lines_that_are_no_rows_between_those_that_are(users: Target) -> None:
    """jeroen/jsonlite#87: in Elasticsearch's bulk format each record has a line before it."""
    users.conn.execute("CREATE TABLE notes (v text, n int DEFAULT 7)")
    action = {"index": {"_index": "notes", "_id": "1"}}
    users.write(notes=[action, {"v": "a"}, action, {"v": "b"}])
    users.restore(exit_code=3)
    assert users.rows("SELECT * FROM notes ORDER BY v") == [("a", 7), ("b", 7)]
    assert [*users.refused("notes")] == [0, 2]


def test_documents_of_elasticdump(users: Target) -> None:
    """elasticsearch-dump/elasticsearch-dump#196: each row lies in _source."""
    users.write(users=[{"_index": "u", "_id": "1", "_source": {"id": 1, "v": "a"}}])
    users.restore()
    assert rows(users) == [(1, "a")]


def test_extended_json_of_mongodb(users: Target) -> None:
    """mongo-express/mongo-express#653: $oid and $date stand for values."""
    users.conn.execute("CREATE TABLE sent (_id text PRIMARY KEY, at timestamptz, n bigint)")
    users.write(
        sent=[
            {"_id": {"$oid": "5fda28190d4b6097afba6340"}, "at": {"$date": "2020-12-12T02:01:00Z"}},
            {"_id": "2", "at": "2020-12-12T02:01:00Z", "n": {"$numberLong": "5"}},
            {"_id": "3", "n": 5},
        ]
    )
    users.restore()
    table = users.rows("SELECT _id, at::date::text, n FROM sent ORDER BY _id DESC")
    assert table == [
        ("5fda28190d4b6097afba6340", "2020-12-12", None),
        ("3", None, 5),
        ("2", "2020-12-12", 5),
    ]


def test_the_type_names_of_graphql(users: Target) -> None:
    """hasura/graphql-engine#4379: each object of an answer has a __typename."""
    answer = {"data": {"users": [{"id": 1, "v": "a", "__typename": "users"}]}}
    write(users, json.dumps(answer), "answer.json")
    assert "__typename" in users.restore()
    assert rows(users) == [(1, "a")]


def test_objects_one_after_the_other(users: Target) -> None:
    """nkhorman/json_fdw#3: objects in a file without a list around them."""
    write(users, '{"id": 1, "v": "a"}{"id": 2,\n "v": "b"}\n\n{"id": 3, "v": "c"}')
    users.restore()
    assert rows(users) == [(1, "a"), (2, "b"), (3, "c")]


def test_messages_of_singer(users: Target) -> None:
    """MeltanoLabs/target-postgres#370: schemas, records and states of all tables in one stream."""
    messages = [
        {"type": "SCHEMA", "stream": "users", "schema": {}, "key_properties": ["id"]},
        {"type": "RECORD", "stream": "users", "record": {"id": 1, "v": "a"}},
        {"type": "STATE", "value": {}},
    ]
    write(users, "\n".join(map(json.dumps, messages)), "users.jsonl")
    [line] = users.restore(exit_code=2).splitlines()
    assert "users.jsonl does not fit table users" in line
    assert rows(users) == []


def test_a_field_that_the_first_records_lack(users: Target) -> None:
    """dlt-hub/dlt#1400: columns that some records lack stop the load."""
    users.write(
        users=[{"id": 1}, {"id": 2, "v": None}, {"v": "c", "id": 3}, {"d": {"k": 1}, "id": 4}]
    )
    users.restore()
    table = users.rows("SELECT id, v, d FROM users ORDER BY id")
    assert table == [(1, None, None), (2, None, None), (3, "c", None), (4, None, {"k": 1})]


def test_nulls_of_parents(users: Target) -> None:
    """prisma/orm#14605: null is refused where a parent may be missing."""
    users.conn.execute("CREATE TABLE bear (id serial PRIMARY KEY, parent_id int REFERENCES bear)")
    users.write(bear=[{"parent_id": 2, "id": 1}, {"id": 2, "parent_id": None}, {"id": 3}])
    users.restore()
    assert users.rows("SELECT * FROM bear ORDER BY id") == [(1, 2), (2, None), (3, None)]


def test_fields_in_another_case_than_their_columns(users: Target) -> None:
    """dbeaver/dbeaver#8585, duckdb/duckdb#15816: columns are matched by their exact case."""
    users.conn.execute("CREATE TABLE people (id int PRIMARY KEY, firstname text DEFAULT 'none')")
    users.write(people=[{"id": 1, "FirstName": "Ada"}])
    users.restore()
    assert users.rows("SELECT firstname FROM people") == [("Ada",)]
