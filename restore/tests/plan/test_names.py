"""Files and fields of similar names find their tables and columns; what could be two is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from restore.plan.names import TableNames, plurals, squash
from restore.target.relations import Relation
from restore.tests.support import command

if TYPE_CHECKING:
    from restore.tests.support.target import Target


@pytest.mark.parametrize(
    ("name", "squashed"),
    [
        ("order_items", "orderitems"),
        ("OrderItems", "orderitems"),
        ("order-item s", "orderitems"),
        ("_id", "_id"),
        ("__v", "__v"),
        ("type_", "type_"),
    ],
)
def test_case_and_the_way_to_join_words_do_not_count(name: str, squashed: str) -> None:
    assert squash(name) == squashed


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("user", "users"),
        ("category", "categories"),
        ("address", "addresses"),
        ("salesperson", "salespeople"),
        ("knife", "knives"),
        ("hero", "heroes"),
    ],
)
def test_plurals(one: str, many: str) -> None:
    assert many in plurals(one)


def names(*tables: str) -> TableNames:
    parts = [table.rpartition(".") for table in tables]
    return TableNames.of(
        [
            Relation(n, schema or "public", name, "r", visible=not schema)
            for n, (schema, _, name) in enumerate(parts)
        ]
    )


@pytest.mark.parametrize(
    "file",
    [
        *("users", "Users", "user", "User", "shop.users", "dbo.users", "public.users", "shop.User"),
        *('"users"', "`users`", "[dbo].[users]", '"public"."users"', "users (1)", "users copy"),
        *("users - Copy (2)", "users_202401311234", "users-2024-01-31", "20240131_users"),
        *("2024-01-31T12-34-56_users", "users_export", "backup_users", "tbl_users", "tblUsers"),
        *("users-export-2024-01-31", "users_1706700000000", "public_users", "shop_public_users"),
        *("users_rows", "users.bak"),
    ],
)
def test_what_tools_add_to_a_name_does_not_count(file: str) -> None:
    found = names("users", "orders").find_loosely(file)
    assert [table.name for table in found] == ["users"]


@pytest.mark.parametrize(
    "file",
    ["usersx", "app_users", "users_2024", "audit.users", "user_roles", "0", "data_0_0_0", ""],
)
def test_other_names_mean_no_table(file: str) -> None:
    assert names("users", "audit.log").find_loosely(file) == []


def test_the_closest_name_wins_and_what_may_be_two_is_both() -> None:
    found = names("person", "people", "OrderItem", "order_item", "order_items")
    assert [t.name for t in found.find_loosely("Person")] == ["person"]
    assert [t.name for t in found.find_loosely("orderItem")] == ["OrderItem"]
    assert [t.name for t in found.find_loosely("Order-Item")] == ["OrderItem", "order_item"]
    assert [t.name for t in found.find_loosely("people (1)")] == ["people"]


SCHEMA = """
    CREATE TABLE users (
        id int PRIMARY KEY, full_name text NOT NULL, is_active bool DEFAULT true, boss_id int,
        user_no int UNIQUE, tags jsonb, nick_name text DEFAULT 'none', shout text
        GENERATED ALWAYS AS (upper(full_name)) STORED
    );
    ALTER TABLE users ADD FOREIGN KEY (boss_id) REFERENCES users;
    CREATE TABLE order_items (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users)
"""
QUERY = "SELECT id, full_name, is_active, boss_id, user_no, tags, nick_name FROM users ORDER BY id"


def record(number: int, **changes: Any) -> dict[str, Any]:
    plain = {"id": number, "fullName": f"n{number}", "isActive": False, "bossId": None}
    plain |= {"userNo": number, "tags": {"isActive": 1}}
    return {name: value for name, value in (plain | changes).items() if value is not ...}


@pytest.fixture
def users(target: Target) -> Target:
    target.conn.execute(SCHEMA)
    return target


def test_camel_case_fields_fill_snake_case_columns(users: Target) -> None:
    users.write(
        USERS=[record(1), record(2, nickName="x", shout="left out"), record(3, isActive=...)],
        orderItem=[{"id": 1, "userId": 1}, {"userId": 2}],
    )
    output = users.restore()
    assert "USERS.json -> users" in output
    assert "orderItem.json -> order_items" in output
    assert "no column" not in output
    report = json.loads(users.report.read_text())
    assert report["loose_matches"]["users.fullName"] == "full_name"
    assert users.rows(QUERY) == [
        (1, "n1", False, None, 1, {"isActive": 1}, "none"),
        (2, "n2", False, None, 2, {"isActive": 1}, "x"),
        (3, "n3", True, None, 3, {"isActive": 1}, "none"),
    ]
    assert users.rows("SELECT id, user_id FROM order_items ORDER BY 1") == [(1, 1), (2, 2)]


@pytest.mark.parametrize("style", [str.upper, str.capitalize, lambda name: f'{name}"é'])
def test_a_field_s_name_is_any_text(users: Target, style: Any) -> None:
    fields = ("id", "full_name", "is_active", "boss_id", "user_no", "tags", "nick_name")
    rows = [(1, "a", False, None, 7, [1], "n"), (2, "b", None, 1, 8, None, None)]
    users.write(users=[dict(zip(map(style, fields), row, strict=True)) for row in rows])
    maps = [f"--map-column=users.{style(name)}={name}" for name in fields]
    users.restore(*(maps if '"' in style("") else []))
    assert users.rows(QUERY) == rows


def test_records_that_are_refused_and_found_again_keep_their_own_names(users: Target) -> None:
    """Duplicates, orphans and rejects are told by their fields, by COPY and one by one."""
    users.write(
        users=[
            *(record(n) for n in range(400)),
            record(3),
            record(500, userNo=5),
            record(501, bossId=999),
            record(502, fullName=None),
            record(503, userNo="x"),
            record(504, bossId=400, userNo="504"),
            record(400, isActive="yes"),
        ]
    )
    users.restore(exit_code=3)
    report = json.loads(users.report.read_text())["tables"][0]
    assert (report["read"], report["loaded"], report["duplicates"], report["rejected"]) == (
        *(407, 402, 2, 3),
    )
    lines = (users.rejects / "users.jsonl").read_text().splitlines()
    raws = [json.loads(json.loads(line)["raw"]) for line in lines]
    assert sorted(raw["id"] for raw in raws) == [3, 500, 501, 502, 503]
    assert {"fullName", "isActive"} <= raws[0].keys()
    assert users.rows(f"SELECT * FROM ({QUERY}) t WHERE id IN (400, 504)") == [
        (400, "n400", True, None, 400, {"isActive": 1}, "none"),
        (504, "n504", False, 400, 504, {"isActive": 1}, "none"),
    ]


def test_a_retry_matches_the_names_again(users: Target) -> None:
    users.write(users=[record(1), record(2, fullName=None, nickName="nick")])
    users.restore(exit_code=3)
    path = users.rejects / "users.jsonl"
    path.write_text(path.read_text().replace('\\"fullName\\": null', '\\"fullName\\": \\"b\\"'))
    done = command.run("retry", str(users.rejects), "--dsn", users.dsn)
    assert done.exit_code == 0, done.output + done.errors
    assert users.rows(QUERY)[1] == (2, "b", False, None, 2, {"isActive": 1}, "nick")


@pytest.mark.parametrize("mode", ["skip", "replace"])
def test_existing_rows_are_told_by_the_fields(users: Target, mode: str) -> None:
    users.conn.execute("INSERT INTO users (id, full_name, user_no) VALUES (1, 'old', 1)")
    users.write(users=[record(1), record(2)])
    users.restore("--append", "--on-conflict", mode)
    assert [row[1] for row in users.rows(QUERY)] == ["old" if mode == "skip" else "n1", "n2"]


@pytest.mark.parametrize("options", [("--dry-run",), ("--match", "exact")])
def test_nothing_is_written(users: Target, options: tuple[str, ...]) -> None:
    users.write(users=[record(1)])
    users.restore(*options, exit_code=0 if "--dry-run" in options else 2)
    assert users.rows(QUERY) == []


def test_the_exact_field_wins_and_the_other_one_is_named(users: Target) -> None:
    users.write(users=[record(1, full_name="exact", is_active=True)])
    output = users.restore()
    assert users.rows(QUERY)[0][1:3] == ("exact", True)
    assert "no column for field 'fullName', ignored in 1 record" in output


def test_a_field_that_comes_late_is_read_if_it_is_written_like_the_others(users: Target) -> None:
    first = [record(n, tags="y" * 500) for n in range(4_000)]
    users.write(users=[*first, record(9_999, nickName="z")])
    users.restore("--jobs", "1")
    assert users.rows(QUERY)[-1][-1] == "z"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"FullName": "a"}, "the fields fullName, FullName may all be for column full_name"),
        ({"userno": 1}, "the fields userNo, userno may all be for column user_no"),
    ],
)
def test_two_fields_for_one_column_are_refused(
    users: Target, fields: dict[str, Any], message: str
) -> None:
    users.write(users=[record(1, **fields)])
    assert message in users.restore(exit_code=2)
    column = message.rpartition(" ")[2]
    given = message.split()[2].strip(",")
    users.restore("--map-column", f"users.{given}={column}")
    assert len(users.rows(QUERY)) == 1


def test_a_field_for_two_columns_is_refused(target: Target) -> None:
    target.conn.execute('CREATE TABLE t (id int, a_b int, ab int, "A B" int)')
    target.write(t=[{"id": 1, "a-b": 2}])
    assert "field a-b may be for any of the columns a_b, ab, A B of table t" in target.restore(
        exit_code=2
    )
    target.restore("--map-column", "public.t.a-b=ab")
    assert target.rows("SELECT * FROM t") == [(1, None, 2, None)]


def test_columns_may_be_swapped(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int, a int, b int, c int)")
    target.write(t=[{"id": 1, "a": 2, "b": 3, "c": 4}])
    target.restore("--map-column", "t.a=b,t.b=a", "--map-column", "t.x=c")
    assert target.rows("SELECT * FROM t") == [(1, 3, 2, None)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nobody.a=b", "no table of that name is restored, only users"),
        ("users.a=nothing", "table users has no such column to fill"),
        ("users.a=shout", "table users has no such column to fill"),
    ],
)
def test_a_map_of_a_column_that_means_nothing_is_refused(
    users: Target, given: str, message: str
) -> None:
    users.write(users=[record(1)])
    assert message in users.restore("--map-column", given, exit_code=2)
    assert users.rows(QUERY) == []


def test_nested_relations_are_named_in_the_first_line(users: Target) -> None:
    users.write(users=[record(1, boss={"id": 3}, posts=[{"id": 1}], none=[])])
    first = " ".join(users.restore().split("\n\n")[0].split())
    assert "All restored, but nested relations were left out (users.boss, users.posts):" in first
    report = json.loads(users.report.read_text())
    assert report["nested_relations"] == ["users.boss", "users.posts"]
    assert report["tables"][0]["unknown_fields"] == {"boss": 1, "none": 1, "posts": 1}


def test_fields_and_columns_that_may_belong_together_are_named(users: Target) -> None:
    users.write(users=[record(1, isActive=..., active=False, fullName=...) | {"full_name": "a"}])
    output = " ".join(users.restore().split())
    assert "users.json: no column fits active, and no field fills is_active, nick_name" in output
    assert "--map-column users.active=is_active" in output


@pytest.mark.parametrize(
    ("fields", "pair"),
    [({"zzz": 1, "nickname2": "x"}, "nickname2=nick_name"), ({"zzz": 1, "yyy": 2}, "FIELD=COLUMN")],
)
def test_the_pair_that_is_proposed_looks_alike(
    users: Target, fields: dict[str, Any], pair: str
) -> None:
    users.write(users=[record(1, isActive=...) | fields])
    assert f"--map-column users.{pair}" in " ".join(users.restore().split())


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"id": 1, "a": 1, "b": 2}], "few of its fields (id, a, b) are columns"),
        (
            [{"id": 1, "attributes": {"full_name": "a", "isActive": True}}],
            "its columns full_name are within field 'attributes'",
        ),
    ],
)
def test_records_that_seem_to_be_no_rows_are_refused(
    target: Target, records: list[Any], message: str
) -> None:
    target.conn.execute("CREATE TABLE t (id int, full_name text, is_active bool DEFAULT true)")
    target.write(t=records)
    for option in ("--clean", "--dry-run", "--atomic"):
        assert message in target.restore(option, exit_code=2)
    target.restore("--unknown-fields", "ignore")
    assert target.rows("SELECT * FROM t") == [(1, None, True)]


def test_an_unknown_field_that_is_an_error_is_found_before_anything_is_written(
    users: Target,
) -> None:
    users.write(users=[record(1), record(2, extra=1)])
    output = users.restore("--unknown-fields", "error", exit_code=2)
    assert "no column for 'extra' of users.json" in output
    assert users.rows(QUERY) == []


OMITTING = [
    {"id": 1, "name": "a", "note": "n", "on": False},
    {"id": 2, "name": "b"},
    {"id": 3, "note": "n", "on": "off"},
    {"id": 4, "on": "maybe"},
]


@pytest.mark.parametrize(
    ("choice", "with_null", "expected"),
    [
        ("auto", [], None),
        ("auto", [{"id": 5, "name": None, "note": "x", "on": True}], True),
        ("default", [], True),
        ("null", [{"id": 5, "name": None, "note": "x", "on": True}], None),
    ],
)
def test_what_a_record_lacks_is_null_if_the_file_leaves_out_nulls(
    target: Target, choice: str, with_null: list[Any], *, expected: bool | None
) -> None:
    target.conn.execute('CREATE TABLE t (id int, name text, note text, "on" bool DEFAULT true)')
    target.write(t=OMITTING + with_null)
    output = target.restore("--absent-fields", choice, exit_code=3)
    assert target.rows('SELECT id, "on" FROM t WHERE id < 4 ORDER BY 1') == [
        *((1, False), (2, expected), (3, False)),
    ]
    is_decided = choice == "auto" and not with_null
    assert ("t.json seems to leave out nulls" in " ".join(output.split())) == is_decided
    assert ("--absent-fields null" in output.rpartition("retry")[2]) == (expected is None)


def test_a_record_loaded_by_itself_holds_null_too(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int, day date, ok bool DEFAULT true, no text)")
    rows = [{"id": 1, "day": "2024-01-01", "ok": False, "no": "a"}, {"id": 2, "day": "31 Dec 2024"}]
    target.write(t=rows)
    target.restore()
    assert target.rows("SELECT id, ok FROM t ORDER BY 1") == [(1, False), (2, None)]


def test_a_field_is_for_the_key_that_it_is_named_after(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE people (id text PRIMARY KEY);"
        " CREATE TABLE posts (id int, author_id text REFERENCES people, state_id int, state text)"
    )
    target.write(person=[{"_id": "x"}], posts=[{"id": 1, "author": "x", "state": "new"}])
    output = target.restore()
    assert "people._id -> id" in output
    assert "posts.author -> author_id" in output
    assert target.rows("SELECT * FROM posts") == [(1, "x", None, "new")]


def test_a_key_that_is_only_within_a_nested_relation_stops_the_restore(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE people (id int PRIMARY KEY, name text);"
        " CREATE TABLE posts (id int, body text, author_id int REFERENCES people)"
    )
    person = {"id": 7, "name": "a"}
    target.write(people=[person], posts=[{"id": 1, "body": "b", "author": person}])
    message = "posts.json has the values of column author_id of table posts only within field"
    assert message in target.restore(exit_code=2)
    target.write(posts=[{"id": 1, "body": "b", "author": person, "authorId": 7}])
    assert "nested relations were left out (posts.author)" in target.restore()
    assert target.rows("SELECT * FROM posts") == [(1, "b", 7)]


def test_an_api_s_error_message_is_no_record(target: Target) -> None:
    target.conn.execute("CREATE TABLE logs (id serial, message text)")
    (target.backup / "logs.json").write_text('{"message": "permission denied", "code": "42501"}')
    assert "logs.json: it is an API's error message" in target.restore(exit_code=2)
    assert target.rows("SELECT * FROM logs") == []
