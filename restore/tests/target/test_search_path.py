"""What the restorer asks the server finds PostgreSQL's own objects; users' code finds users'."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from restore.schedule import scheduler as loading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.tests.support.target import Target

# What a role plants that may create in public and nothing else: operators and functions that match
# what a restore asks better than PostgreSQL's own do. Each use leaves a row behind.
PLANT = """
    CREATE FUNCTION public.planted(said text) RETURNS void LANGUAGE plpgsql SECURITY INVOKER AS $f$
    BEGIN INSERT INTO public.pwned VALUES (said); EXCEPTION WHEN OTHERS THEN NULL; END $f$;
    DO $do$
    DECLARE operator text; types text[]; n int := 0;
    BEGIN
        FOREACH operator IN ARRAY ARRAY['=', '<>', '<', '>', '<=', '>=', '~', '||'] LOOP
            FOR types IN SELECT ARRAY[a, b] FROM unnest(ARRAY[
                'oid', 'regclass', 'int2', 'int4', 'varchar', 'text', 'name', 'xid', 'bpchar',
                '"char"']) a, unnest(ARRAY[
                'oid', 'regclass', 'int2', 'int8', 'varchar', 'name', 'xid', 'text', '"char"']) b
            LOOP
                BEGIN
                    n := n + 1;
                    EXECUTE format('CREATE FUNCTION public.planted_%s(%s, %s) RETURNS bool'
                        ' LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.planted(%L);'
                        ' RETURN false; END $f$', n, types[1], types[2],
                        operator || types::text);
                    EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s,'
                        ' FUNCTION = public.planted_%s)', operator, types[1], types[2], n);
                END;
            END LOOP;
        END LOOP;
    END $do$;
    CREATE FUNCTION public.format(text, name, name) RETURNS text LANGUAGE plpgsql AS $f$
        BEGIN PERFORM public.planted('format'); RETURN pg_catalog.format($1, $2, $3); END $f$;
    CREATE FUNCTION public.row_to_json(public.child) RETURNS json LANGUAGE plpgsql AS $f$
        BEGIN PERFORM public.planted('row_to_json'); RETURN NULL; END $f$;
    CREATE FUNCTION public.sign(int) RETURNS int LANGUAGE plpgsql AS $f$
        BEGIN PERFORM public.planted('sign'); RETURN 1; END $f$;
    CREATE FUNCTION public.octet_length(varchar) RETURNS int LANGUAGE plpgsql AS $f$
        BEGIN PERFORM public.planted('octet_length'); RETURN 1; END $f$;
    CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $f$
        BEGIN PERFORM public.planted('lower'); RETURN pg_catalog.lower($1); END $f$;
"""
# With public before pg_catalog on the search path, these are found first.
PLANT_FIRST = """
    CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $f$
        BEGIN PERFORM public.planted('set_config');
        RETURN pg_catalog.set_config($1, $2, $3); END $f$;
    CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE plpgsql AS $f$
        BEGIN PERFORM public.planted('current_setting');
        RETURN pg_catalog.current_setting($1); END $f$;
    CREATE FUNCTION public.pg_advisory_lock(bigint) RETURNS void LANGUAGE plpgsql AS $f$
        BEGIN PERFORM public.planted('pg_advisory_lock'); END $f$;
    CREATE FUNCTION public.pg_current_xact_id() RETURNS xid8 LANGUAGE plpgsql AS $f$
        BEGIN PERFORM public.planted('pg_current_xact_id');
        RETURN pg_catalog.pg_current_xact_id(); END $f$;
    CREATE FUNCTION public.json_populate_record(anyelement, json) RETURNS anyelement
        LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.planted('json_populate_record');
        RETURN NULL; END $f$;
    CREATE TABLE public.pg_class (oid oid);
    CREATE TABLE public.pg_attribute (attrelid oid);
    CREATE DOMAIN public.timestamptz AS text;
    CREATE DOMAIN public.json AS text;
"""
SHOP = """
    CREATE TYPE public.pair AS (x int, y text);
    CREATE TABLE parent (code varchar(20) PRIMARY KEY);
    CREATE TABLE child (
        id bigserial PRIMARY KEY, code varchar(20) REFERENCES parent, mail varchar, pair pair,
        at timestamp, parts pair[]
    );
    CREATE UNIQUE INDEX child_mail ON child (lower(mail));
    CREATE MATERIALIZED VIEW seen AS SELECT id FROM child;
    CREATE TABLE pwned (what text); GRANT INSERT ON pwned TO public;
"""
ODD = {"pair": {"x": 1, "y": "a"}, "at": "2024-01-02 03:04 +02:00", "parts": [{"x": 1, "y": "b"}]}
CHILDREN = [
    {"id": 1, "code": "a", "mail": "A@x"},
    {"id": 2, "code": "lost", "mail": "b@x"},
    {"id": 3, "code": "a", "mail": "a@X"},
    {"id": 3, "code": "a", "mail": "c@x"},
    {"id": 4, "code": "a", "mail": "d@x"} | ODD,
]


@pytest.fixture
def planted(target: Target, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """A database in which another role has planted what it could."""
    monkeypatch.setattr(loading, "_WORTH_BYTES", 1)
    target.conn.execute(SHOP)
    name = sql.Identifier(f"evil_{target.conn.info.dbname}")
    target.conn.execute(
        sql.SQL("CREATE ROLE {0}; GRANT CREATE ON SCHEMA public TO {0}").format(name)
    )
    target.conn.execute(sql.SQL("SET ROLE {}").format(name))
    target.conn.execute(PLANT)
    target.conn.execute("RESET ROLE")
    target.write(parent=[{"code": "a"}], child=CHILDREN)
    yield target
    target.conn.execute(sql.SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(name))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 3),
        (["--dry-run"], 3),
        (["--atomic"], 3),
        (["--append", "--on-conflict", "skip"], 3),
        (["--append", "--on-conflict", "replace"], 3),
        (["--clean", "--keep-indexes"], 3),
        (["--timezone", "Europe/Berlin"], 3),
    ],
)
@pytest.mark.parametrize("path", ['"$user", public', "public, pg_catalog"])
def test_nothing_that_was_planted_runs(
    planted: Target, options: list[str], code: int, path: str
) -> None:
    name = sql.Identifier(planted.conn.info.dbname)
    planted.conn.execute(
        sql.SQL("ALTER DATABASE {} SET search_path = ").format(name) + sql.SQL(path)
    )
    if path.startswith("public"):
        planted.conn.execute(PLANT_FIRST)
    if "--clean" in options or "--append" in options:
        planted.conn.execute("INSERT INTO parent VALUES ('b'); INSERT INTO child VALUES (4, 'b')")
    planted.restore(*options, exit_code=code)
    assert planted.rows("SELECT DISTINCT what FROM pwned ORDER BY 1") == []
    if "--dry-run" not in options:
        assert planted.rows("SELECT id FROM child WHERE id IN (1, 2, 3, 4) ORDER BY id") == [
            *((1,), (3,), (4,)),
        ]


def test_a_retry_runs_nothing_that_was_planted(planted: Target) -> None:
    planted.restore(exit_code=3)
    lines = (planted.rejects / "child.jsonl").read_text(encoding="utf-8").splitlines()
    rejects = [json.loads(line) for line in lines]
    for reject in rejects:
        reject["raw"] = json.loads(reject["raw"]) | {"id": 70 + reject["ordinal"], "code": "a"}
    text = "".join(json.dumps(reject) + "\n" for reject in rejects)
    (planted.rejects / "child.jsonl").write_text(text, encoding="utf-8")
    from restore.tests.support import command  # noqa: PLC0415 - this test alone runs another task

    for mode in ("skip", "reject"):
        words = ["retry", str(planted.rejects), "--dsn", planted.dsn, "--on-conflict", mode]
        command.run(*words)
    assert planted.rows("SELECT DISTINCT what FROM pwned ORDER BY 1") == []
    assert planted.rows("SELECT id FROM child WHERE id > 70") != []


LATER = """
    CREATE SCHEMA s1; SET search_path = s1;
    CREATE TABLE words (id int PRIMARY KEY, word text);
    CREATE FUNCTION known(text) RETURNS boolean LANGUAGE sql STABLE
        AS 'SELECT $1 <> ''unknown'' AND (SELECT count(*) >= 0 FROM words)';
    CREATE FUNCTION plain(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
        AS $$ BEGIN PERFORM count(*) FROM words; RETURN lower($1); END $$;
    CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN new.n := (SELECT count(*) FROM words); RETURN new; END $$;
    CREATE TABLE data (id int PRIMARY KEY, word text CHECK (known(word)), n int);
    CREATE UNIQUE INDEX data_plain ON data (plain(word));
    CREATE TRIGGER fill BEFORE INSERT ON data FOR EACH ROW EXECUTE FUNCTION fill();
"""


@pytest.mark.parametrize("options", [["--schema", "s1"], []])
def test_users_code_finds_what_it_names(
    target: Target, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_WORTH_BYTES", 1)
    target.conn.execute(LATER)
    if not options:
        name = sql.Identifier(target.conn.info.dbname)
        target.conn.execute(sql.SQL("ALTER DATABASE {} SET search_path = s1").format(name))
    target.write(words=[{"id": 1, "word": "a"}])
    records = [{"id": 1, "word": "A"}, {"id": 2, "word": "unknown"}, {"id": 3, "word": "a"}]
    target.write(data=records)
    before = target.rows("SELECT pg_get_indexdef(indexrelid) FROM pg_index ORDER BY 1")
    target.restore("--triggers", *options, exit_code=3)
    assert target.rows("SELECT id FROM s1.data WHERE n IS NOT NULL") == [(1,)]
    assert {n: line["kind"] for n, line in target.rejected("data").items()} == {
        1: "rejected",
        2: "duplicate",
    }
    assert target.rows("SELECT pg_get_indexdef(indexrelid) FROM pg_index ORDER BY 1") == before


REVERSED = {
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Tokyo",
    "array_nulls": "off",
    "bytea_output": "escape",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "extra_float_digits": "-15",
    "lc_monetary": "C.utf8",
    "quote_all_identifiers": "on",
    "search_path": "",
    "standard_conforming_strings": "off",
    "timezone_abbreviations": "India",
    "transform_null_equals": "on",
    "xmlbinary": "hex",
    "xmloption": "document",
}
VALUES = """
    CREATE TABLE everything (
        id int PRIMARY KEY, texts text[], moneys money, day date, span interval, bytes bytea,
        ratio float8, at timestamptz, local timestamp, zoned timestamptz, clock timetz,
        numbers int[], ranges int4range, days daterange, doc jsonb, bits bit(3),
        point point, address inet, document tsvector
    )
"""
RECORD = {
    "id": 1,
    "texts": ["x", None, "NULL", "a\\b", 'q"'],
    "moneys": "1234.50",
    "day": "2024-03-04",
    "span": "-1 day -02:03:04.5",
    "bytes": "aGVsbG8=",
    "ratio": 0.1,
    "at": "2024-03-04T05:06:07.123456Z",
    "local": "2024-03-04 05:06:07",
    "zoned": "2024-03-04 05:06:07 IST",
    "clock": "05:06:07+02",
    "numbers": [1, None, 3],
    "ranges": "[1,5)",
    "days": "[2024-03-04,2024-05-06)",
    "doc": {"a": [None, "\\"]},
    "bits": "101",
    "point": "(1,2)",
    "address": "10.0.0.1",
    "document": "fat rat",
}


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--append", "--on-conflict", "skip"], ["--atomic"]])
def test_no_setting_of_the_server_changes_how_a_value_is_read(
    target: Target, options: list[str]
) -> None:
    target.conn.execute(VALUES)
    # Fields in another form are loaded by themselves.
    target.write(everything=[RECORD, RECORD | {"id": 2, "numbers": ["1", None, 3.0]}])
    target.restore(*options)
    expected = target.rows("SELECT everything::text FROM everything ORDER BY id")
    assert len(expected) == 2
    target.conn.execute("TRUNCATE everything")
    for name, value in REVERSED.items():
        target.conn.execute(
            sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                sql.Identifier(target.conn.info.dbname), sql.Identifier(name), sql.Literal(value)
            )
        )
    target.restore("--schema", "public", *options)
    assert target.rows("SELECT everything::text FROM everything ORDER BY id") == expected
    target.restore("--schema", "public", "--dry-run", "--append", exit_code=3)
