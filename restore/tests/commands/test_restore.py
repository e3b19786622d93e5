"""The command, as a user runs it, on a real server."""

from __future__ import annotations

import gzip
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from restore.tests.support.target import COMPANIES, user, uuid

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from restore.tests.support.target import Target


def test_every_type_arrives_exactly(target: Target) -> None:
    target.write(company=COMPANIES, User=[user(n) for n in range(5)])
    target.restore()
    [row] = target.rows(
        'SELECT email, "companyId", mood::text, tags, data::text, picture, price::text, ratio,'
        ' active, born::text, "createdAt"::text, extract(epoch FROM seen)::bigint, number, age'
        f""" FROM "User" WHERE id = '{uuid(4)}'"""
    )
    assert row == (
        *("u4@example.org", 1, "wild", ["a", 'b"c', None]),
        *('{"k": [1, {"z": null}], "é": "\\\\\\""}', b"hello", "12.50", 1.0),
        *(True, "2024-01-31", "2024-01-01 05:00:00.123", 1_704_067_200, 5, 1),
    )


@pytest.mark.slow
@pytest.mark.parametrize("style", ["lines", "pretty", "json lines", "gz", "zst"])
def test_every_form_of_file(target: Target, style: str) -> None:
    records = [{"id": n, "name": "x" * n, "owner": None} for n in range(1000)]
    text = json.dumps(records, indent=2 if style == "pretty" else None)
    if style == "json lines":
        text = "\n".join(map(json.dumps, records))
    name = "company.jsonl" if style == "json lines" else "company.json"
    data = text.encode()
    if style == "gz":
        name, data = "company.json.gz", gzip.compress(data)
    if style == "zst":
        name, data = "company.json.zst", zstd.compress(data)
    (target.backup / name).write_bytes(data)
    target.restore("--chunk-bytes", "2048")
    assert target.rows("SELECT count(*), sum(length(name)) FROM company") == [(1000, 499_500)]


def test_newest_backup_of_a_root_is_taken(target: Target) -> None:
    for stamp, name in (("20240101_000000", "old"), ("20240102_000000", "new")):
        folder = target.backup / stamp
        folder.mkdir()
        (folder / "company.json").write_text(json.dumps([{"id": 1, "name": name}]))
    target.restore()
    assert target.rows("SELECT name FROM company") == [("new",)]


def test_json_null_is_sql_null_unless_the_column_forbids_it(target: Target) -> None:
    target.conn.execute("CREATE TABLE doc (id int PRIMARY KEY, a jsonb, b json, c jsonb NOT NULL)")
    target.write(doc=[{"id": 1, "a": None, "b": None, "c": None}, {"id": 2, "c": {"x": None}}])
    target.restore()
    assert target.rows("SELECT a IS NULL, b IS NULL, c::text FROM doc ORDER BY id") == [
        (True, True, "null"),
        (True, True, '{"x": null}'),
    ]


def test_integers_written_as_strings(target: Target) -> None:
    target.conn.execute("CREATE TABLE n (id bigint PRIMARY KEY, a int, b smallint DEFAULT 7)")
    records: list[dict[str, Any]] = [{"id": str(n), "a": str(-n), "b": str(n)} for n in range(500)]
    records[3] |= {"id": 3}
    records[4] |= {"a": "x"}
    records[5] |= {"b": "70000"}
    records[6] |= {"a": None}
    del records[7]["b"]
    target.write(n=records)
    target.restore(exit_code=3)
    assert sorted(target.rejected("n")) == [4, 5]
    assert target.rows("SELECT * FROM n WHERE id < 8 ORDER BY id") == [
        *((0, 0, 0), (1, -1, 1), (2, -2, 2), (3, -3, 3)),
        *((6, None, 6), (7, -7, 7)),
    ]


def test_everything_written_as_strings(target: Target) -> None:
    target.conn.execute("CREATE TABLE s (id int PRIMARY KEY, lat float8, f float4, b boolean)")
    records = [{"id": str(n), "lat": f"{n}.125", "f": "1.5", "b": "true"} for n in range(500)]
    records[3] |= {"lat": "NaN", "b": "f"}
    records[4] |= {"lat": "far"}
    target.write(s=records)
    target.restore(exit_code=3)
    assert sorted(target.rejected("s")) == [4]
    assert target.rows("SELECT id, lat::text, f, b FROM s WHERE id < 6 AND id > 1 ORDER BY 1") == [
        *((2, "2.125", 1.5, True), (3, "NaN", 1.5, False), (5, "5.125", 1.5, True)),
    ]


def test_what_the_server_can_cast_is_restored(target: Target) -> None:
    users = [user(n) for n in range(2000)]
    users[7] |= {"price": "3.25"}
    users[8] |= {"number": "9000"}
    users[12] |= {"picture": {"type": "Buffer", "data": [1, 2]}}
    users[13] |= {"createdAt": "2024-01-01 05:00:00+02"}
    users[14] |= {"picture": "\\x0102"}
    target.write(company=COMPANIES, User=users)
    target.restore()
    assert target.rows(
        'SELECT price::text, number, picture, "createdAt"::text FROM "User"'
        " WHERE right(id::text, 4) IN ('0007','0008','0012','0013','0014') ORDER BY id"
    ) == [
        ("3.25", 8, b"hello", "2024-01-01 05:00:00.123"),
        ("12.50", 9000, b"hello", "2024-01-01 05:00:00.123"),
        ("12.50", 13, b"\x01\x02", "2024-01-01 05:00:00.123"),
        ("12.50", 14, b"hello", "2024-01-01 03:00:00"),
        ("12.50", 15, b"\x01\x02", "2024-01-01 05:00:00.123"),
    ]


def test_a_missing_field_takes_the_default_and_an_unknown_one_is_named(target: Target) -> None:
    users = [user(n, createdAt=..., nickname="x") for n in range(1000)]
    users[5] = user(5)
    target.write(company=COMPANIES, User=users)
    output = target.restore()
    assert "no column for field 'nickname', ignored in 999 records" in output
    assert target.rows(
        'SELECT count(*), count(*) FILTER (WHERE "createdAt" = \'2000-01-01\') FROM "User"'
    ) == [(1000, 999)]


@pytest.mark.parametrize("highest", [1, 7])
def test_sequences_go_on_after_the_highest_value(target: Target, highest: int) -> None:
    target.write(company=COMPANIES, User=[user(n) for n in range(5)])
    target.write(post=[{"id": highest, "author": uuid(1), "body": ""}])
    target.restore()
    query = f"INSERT INTO post (author) VALUES ('{uuid(1)}') RETURNING id"
    assert target.rows(query) == [(highest + 1,)]
    query = """INSERT INTO "User" (id, email) VALUES (gen_random_uuid(), 'e') RETURNING number"""
    assert target.rows(query) == [(6,)]


@pytest.mark.slow
def test_a_filled_table_stops_the_restore_unless_told(target: Target) -> None:
    target.conn.execute("INSERT INTO company VALUES (77, 'there')")
    target.write(company=COMPANIES, User=[user(n) for n in range(3)], post=[])
    assert "not empty: company; --clean" in target.restore(exit_code=2)
    assert target.rows('SELECT count(*) FROM "User"') == [(0,)]
    target.restore("--append")
    assert target.rows("SELECT count(*) FROM company") == [(4,)]
    target.restore("--clean")
    assert target.rows("SELECT count(*) FROM company") == [(3,)]


def test_clean_never_empties_a_table_outside_the_backup(target: Target) -> None:
    target.write(company=COMPANIES, User=[user(n) for n in range(3)])
    target.restore()
    target.conn.execute(f"INSERT INTO post (author) VALUES ('{uuid(1)}')")
    assert 'Table "post" references "User"' in target.restore("--clean", exit_code=2)
    assert target.rows("SELECT count(*) FROM post") == [(1,)]


def test_bookkeeping_tables_and_other_files_are_left_out(target: Target) -> None:
    target.write(company=COMPANIES[:0], _prisma_migrations=[{"id": 1}])
    (target.backup / "manifest.json").write_text('{"made": "today"}')
    (target.backup / "notes.txt").write_text("hello")
    output = target.restore()
    assert "_prisma_migrations.json: a migration tool's own table" in output
    assert "manifest.json: holds one object" in output


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nothing.json", '[{"id": 1}]', "no table in the database for nothing"),
        (None, None, "no table files in"),
    ],
)
def test_input_that_makes_no_sense(
    target: Target, name: str | None, content: str | None, message: str
) -> None:
    if name and content:
        (target.backup / name).write_text(content)
    assert message in target.restore(exit_code=2)


def test_a_table_file_that_is_no_file_is_never_passed_over(target: Target) -> None:
    target.write(company=COMPANIES)
    (target.backup / "post.json").symlink_to(target.backup / "gone.json")
    assert "post.json is named as a table file" in target.restore(exit_code=2)


def test_an_unreadable_file_is_named(target: Target) -> None:
    (target.backup / "company.json.gz").write_bytes(b"this is no gzip")
    output = target.restore(exit_code=2)
    assert "company.json.gz" in output


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://me:s3cret@127.0.0.1:1/nowhere",
        "host=127.0.0.1 port=1 password=s3cret user=me connect_timeout=2",
    ],
)
def test_no_answer_gives_one_line_without_the_password(target: Target, dsn: str) -> None:
    target.write(company=COMPANIES)
    target.dsn = dsn
    output = target.restore(exit_code=1)
    assert len(output.strip().splitlines()) == 1
    assert "s3cret" not in output


def test_the_main_job_needs_no_superuser(target: Target) -> None:
    target.write(company=COMPANIES, User=[user(n) for n in range(3)])
    with target.role() as name:
        target.conn.execute(f"GRANT CREATE ON SCHEMA public TO {name}")
        target.conn.execute(f"GRANT CREATE ON DATABASE {target.conn.info.dbname} TO {name}")
        for table in ("company", '"User"', "post"):
            target.conn.execute(f"ALTER TABLE {table} OWNER TO {name}")
        target.restore()
        assert target.rows('SELECT count(*) FROM "User"') == [(3,)]


def test_a_role_without_rights_gets_one_clear_line(target: Target) -> None:
    target.write(company=COMPANIES)
    with target.role():
        output = target.restore(exit_code=1)
    assert "permission denied for table company" in output
    assert len(output.strip().splitlines()) == 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(target: Target) -> None:
    peaks = []
    for count in (20_000, 80_000):
        target.write(company=[{"id": n, "name": "x" * 300, "owner": None} for n in range(count)])
        target.restore("--jobs", "1", is_alone=True)
        target.conn.execute("TRUNCATE company CASCADE")
        peaks.append(json.loads(target.report.read_bytes())["peak_bytes"])
    assert peaks[1] < peaks[0] * 1.1
