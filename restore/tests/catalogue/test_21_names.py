"""Item 21: names with capitals, spaces, quotes, percent signs, of 63 bytes; other schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

if TYPE_CHECKING:
    from restore.tests.support.target import Target

NAMES = ["Order Item", 'a"b', "select", "50%s", "ü" * 31 + "x", "semi;colon", "Dot.Ted", "it's"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("schema", ["public", 'My "App" %s'])
def test_any_name_of_a_table_a_column_a_key_an_index_and_a_trigger(
    target: Target, name: str, schema: str
) -> None:
    make = """
        CREATE TABLE {t} ({n} serial PRIMARY KEY, {o} int REFERENCES {t}, x text);
        CREATE INDEX {i} ON {t} (x);
        CREATE TRIGGER {n} BEFORE INSERT ON {t} FOR EACH ROW
            EXECUTE FUNCTION suppress_redundant_updates_trigger()
    """
    target.conn.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    names = {
        "t": sql.Identifier(schema, name),
        "n": sql.Identifier(name),
        "o": sql.Identifier("other"),
        "i": sql.Identifier("index of " + name[:20]),
    }
    target.conn.execute(sql.SQL(make).format(**names))
    records = [{name: n, "other": n % 7 + 1, "x": "y" * 300} for n in range(1, 5000)]
    records[99] |= {"other": 77_777}
    records[50] |= {name: "51"}
    target.write(**{name: records})
    chosen = None if schema == "public" else schema
    report = target.load(schema=chosen)
    assert (report.tables[0].table, report.tables[0].schema) == (name, schema)
    assert (report.tables[0].loaded, report.lost) == (4998, 1)
    assert target.load(schema=chosen, clean=True, dry_run=True).tables[0].loaded == 4998
    query = sql.SQL("INSERT INTO {t} DEFAULT VALUES RETURNING {n}").format(**names)
    target.conn.execute(sql.SQL("DROP TRIGGER {n} ON {t}").format(**names))
    assert target.conn.execute(query).fetchall() == [(5000,)]


def test_a_backup_of_several_schemas(target: Target) -> None:
    target.conn.execute(
        "CREATE SCHEMA app; CREATE TABLE app.users (id int PRIMARY KEY);"
        " CREATE SCHEMA log; CREATE TABLE log.users (id int REFERENCES app.users)"
    )
    target.write(**{"app.users": [{"id": 1}], "log.users": [{"id": 1}, {"id": 2}], "post": []})
    for dry_run in (True, False):
        report = target.load(dry_run=dry_run)
        counts = {(t.schema, t.table): (t.loaded, t.rejected) for t in report.tables}
        assert counts == {
            ("app", "users"): (1, 0),
            ("log", "users"): (1, 1),
            ("public", "post"): (0, 0),
        }
    assert target.rows("SELECT count(*) FROM log.users") == [(1,)]


def test_the_search_path_finds_tables(target: Target) -> None:
    target.conn.execute("CREATE SCHEMA app; CREATE TABLE app.thing (id int)")
    target.write(thing=[{"id": 1}])
    assert "no table in the database for thing" in target.turned_down()
    target.dsn = make_conninfo(target.dsn, options="-csearch_path=app")
    assert target.load().complete


def test_an_array_beside_a_name_that_no_struct_can_have(target: Target) -> None:
    target.conn.execute('CREATE TABLE odd (id int PRIMARY KEY, "quo""te" text, tags text[])')
    target.write(odd=[{"id": 1, 'quo"te': "x", "tags": ["a", None, 'b"']}])
    target.restore()
    assert target.rows("SELECT * FROM odd") == [(1, "x", ["a", None, 'b"'])]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a\tb", "a\nb", "\x01", "a\\b", 'a"b', "\x7f"])
def test_a_key_of_which_json_has_to_escape_the_name(target: Target, name: str) -> None:
    """Duplicate keys and orphans are found by the key's name in the file, one way or another."""
    make = """
        CREATE TABLE p ({n} int PRIMARY KEY, x text);
        CREATE TABLE c ({n} int REFERENCES p, y text UNIQUE)
    """
    target.conn.execute(sql.SQL(make).format(n=sql.Identifier(name)))
    long = "x" * 1000
    target.write(
        p=[{name: n, "x": long} for n in [*range(1, 5000), 7]],
        c=[{name: n, "y": f"{long}{n}"} for n in [*range(1, 5000), 77_777]],
    )
    report = target.load()
    assert report.error is None
    counts = {t.table: (t.loaded, t.duplicates, t.rejected) for t in report.tables}
    assert counts == {"p": (4999, 1, 0), "c": (4999, 0, 1)}
    [orphan] = target.rejected("c").values()
    assert orphan["ordinal"] == 4999
