"""The command, as a user runs it, on a real server."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import zstandard

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = """
    CREATE TYPE mood AS ENUM ('calm', 'wild');
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE TABLE company (
        id int PRIMARY KEY, name text NOT NULL, owner uuid
    );
    CREATE TABLE "User" (
        id uuid PRIMARY KEY, email text UNIQUE NOT NULL, "companyId" int REFERENCES company,
        boss uuid REFERENCES "User", mood mood DEFAULT 'calm', tags text[], data jsonb,
        picture bytea, price numeric(10,2), ratio float8, active boolean, born date,
        "createdAt" timestamp(3) NOT NULL DEFAULT '2000-01-01', seen timestamptz,
        number bigint GENERATED ALWAYS AS IDENTITY, age positive
    );
    ALTER TABLE company ADD CONSTRAINT company_owner FOREIGN KEY (owner) REFERENCES "User"
        DEFERRABLE INITIALLY DEFERRED;
    COMMENT ON CONSTRAINT company_owner ON company IS 'who pays';
    CREATE TABLE post (
        id serial PRIMARY KEY, author uuid NOT NULL REFERENCES "User", body text
    );
"""


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def user(number: int, /, **changes: Any) -> dict[str, Any]:
    record = {
        "id": uuid(number),
        "email": f"u{number}@example.org",
        "companyId": number % 3,
        "boss": None,
        "mood": "wild",
        "tags": ["a", 'b"c', None],
        "data": {"k": [1, {"z": None}], "é": '\\"'},
        "picture": "aGVsbG8=",
        "price": 12.5,
        "ratio": 1,
        "active": True,
        "born": "2024-01-31T00:00:00.000Z",
        "createdAt": "2024-01-01T05:00:00.123Z",
        "seen": "2024-01-01T00:00:00.000Z",
        "number": number + 1,
        "age": 1,
    }
    return {k: v for k, v in (record | changes).items() if v is not ...}


class Target:
    """A backup to be, and the database it goes to."""

    def __init__(self, folder: Path, database: Any) -> None:
        self.backup = folder / "backup"
        self.backup.mkdir()
        self.rejects = folder / "rejects"
        self.report = folder / "report.json"
        self.dsn = database.dsn
        self.conn = database.connect()
        self.conn.execute(SCHEMA)

    def write(self, **tables: list[Any]) -> None:
        for table, records in tables.items():
            (self.backup / f"{table}.json").write_text(json.dumps(records), encoding="utf-8")

    def restore(self, *arguments: str, exit_code: int = 0) -> str:
        command = [sys.executable, "-m", "restore", str(self.backup), "--dsn", self.dsn]
        command += ["--rejects", str(self.rejects), "--report", str(self.report), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == exit_code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def rejected(self, table: str) -> dict[int, dict[str, Any]]:
        path = self.rejects / f"{table}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return {line["ordinal"]: line for line in map(json.loads, lines)}

    def rows(self, query: str) -> list[Any]:
        return self.conn.execute(query).fetchall()  # type: ignore[no-any-return]

    def counts(self) -> dict[str, dict[str, int]]:
        tables = json.loads(self.report.read_bytes())["tables"]
        for table in tables:
            assert table["read"] == table["loaded"] + table["duplicates"] + table["rejected"]
        return {table["table"]: table for table in tables}


@pytest.fixture
def target(tmp_path: Path, database: Any) -> Target:
    return Target(tmp_path, database)


COMPANIES = [{"id": n, "name": f"c{n}", "owner": uuid(n)} for n in range(3)]


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
        name, data = "company.json.zst", zstandard.compress(data)
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


def test_cycle_and_self_reference_whatever_the_order(target: Target) -> None:
    users = [user(n, boss=uuid((n + 7) % 50)) for n in range(50)]
    target.write(company=COMPANIES, User=users)
    target.restore("--chunk-bytes", "1024")
    assert target.rows('SELECT count(*), count(boss) FROM "User"') == [(50, 50)]


def test_foreign_keys_come_back_as_they_were(target: Target) -> None:
    query = (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated,"
        " condeferrable, condeferred, obj_description(oid) FROM pg_constraint"
        " WHERE contype = 'f' ORDER BY 1, 2"
    )
    before = target.rows(query)
    target.write(company=COMPANIES, User=[user(n) for n in range(5)])
    target.restore()
    assert target.rows(query) == before
    assert target.rows("SELECT to_regnamespace('restore_journal')::text") == [(None,)]


def test_foreign_keys_that_a_killed_restore_left_aside_come_back(target: Target) -> None:
    target.write(company=COMPANIES, User=[user(n) for n in range(3)], post=[])
    before = target.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f'")
    script = (
        "import os, sys; from restore import job; from restore.__main__ import main\n"
        "job.bring_back = lambda conn: os._exit(9)\n"  # dies with its keys aside
        "main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", script, str(target.backup), "--dsn", target.dsn]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 9
    assert target.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") != before
    target.restore("--clean")
    assert target.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") == before
    assert target.rows('SELECT count(*) FROM "User"') == [(3,)]


def schema_of_indexes(target: Target) -> list[Any]:
    return target.rows(
        "SELECT c.relname, pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered,"
        " obj_description(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1"
    )


INDEXES = """
    CREATE INDEX company_name ON company (name DESC NULLS LAST) INCLUDE (owner) WHERE id > 5;
    COMMENT ON INDEX company_name IS 'for the list';
    CREATE INDEX "Capital" ON company USING hash (name);
    CREATE INDEX expression ON company (lower(name) text_pattern_ops);
    CREATE INDEX marked ON company (owner);
    CLUSTER company USING marked;
"""


def test_indexes_come_back_as_they_were(target: Target) -> None:
    target.conn.execute(INDEXES)
    before = schema_of_indexes(target)
    target.write(company=[{"id": n, "name": f"{n}" * 200, "owner": None} for n in range(4000)])
    target.restore()
    assert schema_of_indexes(target) == before
    assert target.rows("SELECT count(*) FROM company") == [(4000,)]


def test_a_record_that_only_an_index_refuses_is_rejected_alone(target: Target) -> None:
    target.conn.execute(INDEXES)
    before = schema_of_indexes(target)
    companies = [{"id": n, "name": f"{n}" * 200, "owner": None} for n in range(4000)]
    companies[77]["name"] = os.urandom(5000).hex()  # too long for a btree, even compressed
    companies[99]["id"] = None
    target.write(company=companies)
    target.restore(exit_code=3)
    assert sorted(target.rejected("company")) == [77, 99]
    assert target.counts()["company"]["loaded"] == 3998
    assert len((target.rejects / "company.jsonl").read_text().splitlines()) == 2
    assert schema_of_indexes(target) == before


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


BAD: dict[str, dict[str, Any]] = {
    "enum": {"mood": "none"},
    "date": {"seen": "2024-02-30T00:00:00.000Z"},
    "time lost": {"born": "2024-01-31T12:00:00.000Z"},
    "number": {"price": "abc"},
    "too large": {"number": 2**63},
    "domain": {"age": 0},
    "NUL": {"email": "a\0b"},
    "NUL in jsonb": {"data": {"a": "\0"}},
    "null": {"email": None},
    "missing": {"email": ...},
    "bytes": {"picture": "?"},
    "document": {"email": {"a": 1}},
    "orphan": {"companyId": 99},
    "orphan of itself": {"boss": uuid(999_999)},
}


@pytest.mark.parametrize("at", [0, 500, 999])
@pytest.mark.parametrize("damage", BAD)
def test_one_bad_record_is_rejected_and_no_other(target: Target, damage: str, at: int) -> None:
    users = [user(n) for n in range(1000)]
    users[at] = user(at, **BAD[damage])
    target.write(company=[c | {"owner": None} for c in COMPANIES], User=users)
    target.restore(exit_code=3)
    assert target.rows('SELECT count(*) FROM "User"') == [(999,)]
    rejected = target.rejected("User")
    assert list(rejected) == [at]
    assert json.loads(rejected[at]["raw"]) == users[at]
    text = (target.backup / "User.json").read_bytes()
    offset, length = rejected[at]["offset"], rejected[at]["length"]
    assert json.loads(text[offset : offset + length]) == users[at]
    assert rejected[at]["message"]


def test_many_kinds_of_damage_in_one_batch(target: Target) -> None:
    users = [user(n) for n in range(1000)]
    bad = {100 + 3 * n: changes for n, changes in enumerate(BAD.values())}
    for at, changes in bad.items():
        users[at] = user(at, **changes)
    target.write(company=[c | {"owner": None} for c in COMPANIES], User=users)
    target.restore(exit_code=3)
    assert sorted(target.rejected("User")) == sorted(bad)
    assert target.counts()["User"]["loaded"] == 1000 - len(bad)


@pytest.mark.parametrize("distance", [1, 900])
def test_of_two_records_with_one_key_the_first_stays(target: Target, distance: int) -> None:
    companies = [{"id": n, "name": f"c{n}", "owner": None} for n in range(1000)]
    companies[10 + distance] |= {"id": 10}
    target.write(company=companies)
    target.restore("--chunk-bytes", "4096", exit_code=3)
    assert target.rows("SELECT name FROM company WHERE id = 10") == [("c10",)]
    assert target.rejected("company")[10 + distance]["kind"] == "duplicate"
    assert target.counts()["company"]["duplicates"] == 1


def test_children_of_a_rejected_parent_are_rejected_with_that_reason(target: Target) -> None:
    users = [user(n) for n in range(10)]
    users[4] |= {"mood": "none"}
    users[5] |= {"boss": uuid(4)}
    posts = [{"id": n + 1, "author": uuid(n % 10), "body": ""} for n in range(30)]
    target.write(company=COMPANIES, User=users, post=posts)
    target.restore(exit_code=3)
    assert sorted(target.rejected("User")) == [4, 5]
    assert sorted(target.rejected("post")) == [4, 5, 14, 15, 24, 25]
    assert target.rejected("User")[5]["constraint"] == "User_boss_fkey"
    assert "post_author_fkey" in target.rejected("post")[4]["message"]


def test_a_missing_field_takes_the_default_and_an_unknown_one_is_named(target: Target) -> None:
    users = [user(n, createdAt=..., nickname="x") for n in range(1000)]
    users[5] = user(5)
    target.write(company=COMPANIES, User=users)
    output = target.restore()
    assert "no column for field 'nickname', ignored in 999 records" in output
    assert target.rows(
        'SELECT count(*), count(*) FILTER (WHERE "createdAt" = \'2000-01-01\') FROM "User"'
    ) == [(1000, 999)]


def test_sequences_go_on_after_the_highest_value(target: Target) -> None:
    target.write(company=COMPANIES, User=[user(n) for n in range(5)])
    target.write(post=[{"id": 7, "author": uuid(1), "body": ""}])
    target.restore()
    query = f"INSERT INTO post (author) VALUES ('{uuid(1)}') RETURNING id"
    assert target.rows(query) == [(8,)]
    query = """INSERT INTO "User" (id, email) VALUES (gen_random_uuid(), 'e') RETURNING number"""
    assert target.rows(query) == [(6,)]


def test_a_cut_off_file_gives_its_whole_records_and_says_so(target: Target) -> None:
    text = json.dumps([{"id": n, "name": "x"} for n in range(1000)])
    (target.backup / "company.json").write_text(text[: len(text) // 2])
    output = target.restore(exit_code=3)
    [(count,)] = target.rows("SELECT count(*) FROM company")
    assert count == text[: len(text) // 2].count("}")
    assert "company.json is cut off at byte" in output


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


def test_an_unreadable_file_is_named(target: Target) -> None:
    (target.backup / "company.json.gz").write_bytes(b"this is no gzip")
    output = target.restore(exit_code=2)
    assert "company.json.gz" in output


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://me:s3cret@127.0.0.1:1/nowhere",
        "postgresql//me:s3cret@127.0.0.1/nowhere",
        "host=127.0.0.1 port=1 password=s3cret user=me connect_timeout=2",
        "nonsense s3cret",
        "postgresql://me:s3cret@rest@127.0.0.1:1/nowhere",
        "postgresql://me:s3cret/rest@127.0.0.1:1/nowhere",
    ],
)
def test_no_answer_gives_one_line_without_the_password(target: Target, dsn: str) -> None:
    target.write(company=COMPANIES)
    target.dsn = dsn
    output = target.restore(exit_code=1)
    assert len(output.strip().splitlines()) == 1
    assert "s3cret" not in output


def test_names_of_a_hostile_backup_are_only_data(target: Target) -> None:
    name = 'x"; DROP TABLE post; -- 100%s'
    target.conn.execute(
        psycopg.sql.SQL("CREATE TABLE {} (id int PRIMARY KEY, {} text)").format(
            psycopg.sql.Identifier(name), psycopg.sql.Identifier("a\"b';-- %t")
        )
    )
    records = [{"id": n, "a\"b';-- %t": "'); DROP TABLE post; --"} for n in range(3)]
    (target.backup / f"{name}.json").write_text(json.dumps([*records, {"id": 0}]))
    target.restore(exit_code=3)
    assert target.rows("SELECT to_regclass('post') IS NOT NULL") == [(True,)]
    [rejects] = list(target.rejects.iterdir())
    assert rejects.parent == target.rejects


def test_the_main_job_needs_no_superuser(target: Target, database: Any) -> None:
    target.conn.execute("CREATE ROLE restore_owner LOGIN")
    try:
        target.conn.execute("GRANT CREATE ON SCHEMA public TO restore_owner")
        name = target.rows("SELECT current_database()")[0][0]
        target.conn.execute(f'GRANT CREATE ON DATABASE "{name}" TO restore_owner')
        for table in ("company", '"User"', "post"):
            target.conn.execute(f"ALTER TABLE {table} OWNER TO restore_owner")
        target.write(company=COMPANIES, User=[user(n) for n in range(3)])
        os.environ["PGUSER"] = "restore_owner"
        target.dsn = psycopg.conninfo.make_conninfo(database.dsn, user="restore_owner")
        target.restore()
        assert target.rows('SELECT count(*) FROM "User"') == [(3,)]
    finally:
        os.environ.pop("PGUSER", None)
        target.conn.execute("DROP OWNED BY restore_owner CASCADE")
        target.conn.execute("DROP ROLE restore_owner")


def test_memory_does_not_grow_with_the_file(target: Target) -> None:
    peaks = []
    for count in (20_000, 80_000):
        target.write(company=[{"id": n, "name": "x" * 300, "owner": None} for n in range(count)])
        target.restore()
        target.conn.execute("TRUNCATE company CASCADE")
        peaks.append(json.loads(target.report.read_bytes())["peak_bytes"])
    assert peaks[1] < peaks[0] * 1.1
