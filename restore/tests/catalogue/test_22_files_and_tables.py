"""Item 22: files without a table, names that may mean several, and what was chosen by hand."""

from __future__ import annotations

import difflib
import gzip
from typing import TYPE_CHECKING, Any

import pytest

from restore import Options, SchemaError
from restore.plan.matching import match_files
from restore.plan.sample import Samples
from restore.report.events import BackupFound
from restore.source.discovery import Backup, TableFile
from restore.source.table_stream import Span
from restore.target.relations import read_relations

if TYPE_CHECKING:
    from restore.tests.support.target import Target


@pytest.fixture
def tables(target: Target) -> Target:
    """Tables that differ in case, one of another name, and one in another schema."""
    target.conn.execute(
        'CREATE TABLE "Thing" (id int); CREATE TABLE thing (id int);'
        ' CREATE TABLE "Single" (id int);'
        " CREATE SCHEMA app; CREATE TABLE app.users (id int); CREATE TABLE app_users (id int)"
    )
    return target


def ids(target: Target, table: str) -> list[Any]:
    return [row[0] for row in target.rows(f"SELECT id FROM {table}")]


def test_the_exact_name_comes_first_then_any_case(tables: Target) -> None:
    tables.write(Thing=[{"id": 1}], thing=[{"id": 2}], SINGLE=[{"id": 3}])
    assert tables.load().complete
    assert (ids(tables, '"Thing"'), ids(tables, "thing")) == ([1], [2])
    assert ids(tables, '"Single"') == [3]


def test_a_name_that_may_mean_two_names_them(tables: Target) -> None:
    tables.write(THING=[{"id": 1}])
    message = tables.turned_down()
    assert message.startswith("2: THING.json may be for any of the tables Thing, thing: say which")
    assert "--map THING=Thing" in message
    assert tables.load(map={"THING": "thing"}).complete
    assert ids(tables, "thing") == [1]


@pytest.mark.parametrize("given", ["u", "u.json"])
@pytest.mark.parametrize(
    ("table", "query"),
    [("app.users", "app.users"), ("app_users", "app_users"), ("SINGLE", '"Single"')],
)
def test_a_map_says_where_a_file_goes(tables: Target, given: str, table: str, query: str) -> None:
    tables.write(u=[{"id": 1}])
    assert tables.load(map={given: table}).complete
    assert ids(tables, query) == [1]


@pytest.mark.parametrize(
    ("mapped", "message"),
    [
        ({"v": "thing"}, "2: --map v=thing: the backup has no file of that name"),
        ({"u": "nothing"}, "2: --map u=nothing: the database has no table of that name"),
        ({"u": "THING"}, "2: --map u=THING may mean Thing, thing: write it exactly"),
        ({"u": "thing"}, "2: thing.json and u.json are both for table thing: leave one out"),
    ],
)
def test_a_map_that_cannot_be(tables: Target, mapped: dict[str, str], message: str) -> None:
    tables.write(u=[{"id": 1}], thing=[])
    assert tables.turned_down(map=mapped).startswith(message)


def test_only_the_tables_that_were_chosen(tables: Target) -> None:
    tables.write(Thing=[{"id": 1}], thing=[{"id": 2}], Single=[{"id": 3}], nothing=[{"id": 4}])
    report = tables.load(tables=frozenset({"thing", "single"}))
    assert {table.table for table in report.tables} == {"Single", "thing"}
    assert report.left_out == [
        "Thing.json: not among --tables",
        "nothing.json: not among --tables",
    ]
    assert "2: --tables gone: the backup has no such file" in tables.turned_down(
        tables=frozenset({"gone", "thing"})
    )


def test_tables_are_chosen_and_left_out_by_file_or_by_table(tables: Target) -> None:
    tables.write(u=[{"id": 1}], thing=[{"id": 2}], Single=[{"id": 3}])
    chosen = frozenset({"app.users", "thing"})
    mapped = {"u": "app.users"}
    report = tables.load(map=mapped, tables=chosen, exclude=frozenset({"thing.json", "gone"}))
    assert [(table.schema, table.table) for table in report.tables] == [("app", "users")]
    assert report.left_out == ["Single.json: not among --tables", "thing.json: excluded"]
    assert report.warnings == ["--exclude gone: the backup has no such file"]


def test_a_file_without_a_table_stops_it_and_says_what_can_be_done(tables: Target) -> None:
    tables.write(thing=[{"id": 1}], gone=[{"id": 1}], lost=[])
    message = tables.turned_down(schema="public")
    assert "no table in schema public for gone, lost:" in message
    assert "--map gone=TABLE" in message
    assert "--exclude gone --exclude lost" in message
    assert ids(tables, "thing") == []


@pytest.mark.parametrize("name", ["usres.jsonl", "usres.json", "Usres.json.gz"])
def test_a_file_without_a_table_stops_it_whatever_it_holds(tables: Target, name: str) -> None:
    data = b'{"id": 1}\n' * (2 if ".jsonl" in name else 1)
    tables.conn.execute("CREATE TABLE users (id int); INSERT INTO users VALUES (7)")
    (tables.backup / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    tables.write(thing=[{"id": 1}])
    for options in ({}, {"clean": True}, {"dry_run": True}):
        message = tables.turned_down(**options)
        assert message.startswith(f"2: no table in the database for {name[:5]}: did you mean users")
        assert f"(--map {name[:5]}=users)?" in message
    assert (ids(tables, "thing"), ids(tables, "users")) == ([], [7])


def test_a_few_of_many_files_without_a_table_are_named(
    tables: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    close = difflib.get_close_matches

    def counted(name: str, *arguments: Any, **options: Any) -> list[str]:
        compared.append(name)
        return close(name, *arguments, **options)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    tables.write(**{f"gone{n:02}x": [] for n in range(40)}, unlike=[])
    message = tables.turned_down()
    assert "for gone00x, gone01x, gone02x, gone03x, gone04x, and 36 more: " in message
    assert message.endswith("--exclude gone04x and 36 more")
    assert compared == [f"gone{n:02}x" for n in range(5)]


def test_advice_is_quoted_for_a_shell(tables: Target) -> None:
    tables.write(**{"thing": [], "other (1)": [{"id": 1}], "it's": [{"id": 1}]})
    message = tables.turned_down()
    assert "--map 'it'\"'\"'s=TABLE'" in message
    assert "--exclude 'it'\"'\"'s' --exclude 'other (1)'" in message


@pytest.mark.parametrize("name", ["manifest.json", "metadata.json"])
def test_a_file_that_describes_the_backup_is_left_out(tables: Target, name: str) -> None:
    tables.write(thing=[{"id": 1}])
    (tables.backup / name).write_text('{"made": "today", "tables": [{"name": "thing"}]}')
    report = tables.load()
    assert report.left_out == [f"{name}: holds one object that describes the backup"]
    (tables.backup / name).write_text('[{"made": "today"}]')
    assert f"no table in the database for {name[:-5]}" in tables.turned_down(clean=True)
    assert ids(tables, "thing") == [1]


def test_a_restore_of_no_file_is_no_success(tables: Target) -> None:
    tables.write(alembic_version=[{"id": 1}])
    assert tables.turned_down().startswith("2: nothing to restore, all files of the backup are")
    tables.write(thing=[{"id": 1}])
    assert "thing.json: excluded" in tables.turned_down(exclude=frozenset({"thing"}))
    tables.write(thing=[])
    assert tables.load().complete


def test_system_tables_are_no_targets(target: Target) -> None:
    target.write(pg_class=[{"oid": 1}])
    assert "no table in the database for pg_class" in target.turned_down()


def test_the_backup_that_was_found_is_told(target: Target) -> None:
    told: list[Any] = []
    target.write(company=[])
    target.load(watch=told.append)
    assert told[0] == BackupFound(path=str(target.backup), newest=False, tables=1)
    newest = target.backup / "20240102_000000"
    newest.mkdir()
    (target.backup / "company.json").rename(newest / "company.json")
    told.clear()
    target.load(watch=told.append)
    assert told[0] == BackupFound(path=str(newest), newest=True, tables=1)


def envelope(target: Target, *inside: str) -> tuple[TableFile, ...]:
    """Lists in one file, as they are found before anybody knows the database's tables."""
    path = target.backup / "dump.json"
    path.write_text("{}")
    return tuple(TableFile(path, key, None, span=Span(0, 2, closed=True)) for key in inside)


def match(target: Target, *files: TableFile, **options: Any) -> Any:
    given = Options(backup=target.backup, dsn=target.dsn, **options)
    matches = match_files(
        Backup(target.backup, files),
        read_relations(target.conn, given.schema),
        given,
        Samples(target.conn),
    )
    return {match.relation.display_name: match.file.table for match in matches.by_oid.values()}


def test_the_keys_of_a_file_that_holds_several_tables_are_names(tables: Target) -> None:
    files = envelope(tables, "thing", "single", "people")
    with pytest.raises(SchemaError, match=r"no table in the database for people"):
        match(tables, *files)
    assert match(tables, *files, map={"people": "app.users"}) == {
        "thing": "thing",
        "Single": "single",
        "app.users": "people",
    }
    with pytest.raises(SchemaError, match=r"people in dump.json and thing in dump.json are both"):
        match(tables, *reversed(files), map={"people": "thing"})


def test_a_file_that_may_be_one_object_or_several_tables(tables: Target) -> None:
    lists = envelope(tables, "thing", "nothing")
    undecided = TableFile(tables.backup / "dump.json", "dump", None, nested=lists, is_object=True)
    with pytest.raises(SchemaError, match=r"no table in the database for nothing: "):
        match(tables, undecided)
    assert match(tables, undecided, exclude=frozenset({"nothing"})) == {"thing": "thing"}
    assert match(tables, undecided, map={"nothing": "Single"}) == {
        "thing": "thing",
        "Single": "nothing",
    }
    assert match(tables, undecided, map={"dump.json": "app.users"}) == {"app.users": "dump"}


@pytest.mark.parametrize(
    "text",
    [
        '{{"thing": [{{"id": 1}}], "app_users": {lost}}}',
        '{{"version": 3, "thing": [{{"id": 1}}], "app_users": {lost}}}',
        '{{"data": {{"app_users": {lost}, "thing": [{{"id": 1}}]}}}}',
    ],
)
def test_a_key_that_is_a_table_but_holds_no_list_of_records(tables: Target, text: str) -> None:
    path = tables.backup / "dump.json"
    for lost in ('{"7": {"id": 7}}', '{"data": [{"id": 7}]}', "[[7], [8]]", '{"id": 7}'):
        path.write_text(text.format(lost=lost))
        output = tables.restore(exit_code=2)
        assert "cannot restore app_users in dump.json: it holds no list of records" in output
        tables.restore("--clean", "--exclude", "app_users")
        tables.restore("--clean", "--tables", "thing")
    for nothing in ("null", "{}", "[]"):
        path.write_text(text.format(lost=nothing))
        tables.restore("--clean")
    assert tables.rows("SELECT id FROM thing") == [(1,)]


def test_keys_that_describe_several_files_may_be_alike(tables: Target) -> None:
    for name in ("thing", "Single"):
        text = f'{{"{name}": [{{"id": 1}}], "meta": {{"by": "x"}}, "user": {{"id": 1}}}}'
        (tables.backup / f"dump {name}.json").write_text(text)
    tables.restore()
    assert tables.rows('SELECT * FROM thing, "Single"') == [(1, 1)]


def test_a_part_that_is_named_alone_is_a_file_of_its_own(tables: Target) -> None:
    for number in range(3):
        (tables.backup / f"Single-{number}.json").write_text(f'[{{"id": {number}}}]')
    for choice in ("--exclude=Single-1", "--tables=Single-1.json"):
        assert "no table in the database for Single-" in tables.restore(choice, exit_code=2)
    tables.restore("--exclude", "Single-1", "--map", "Single-*.json=Single")
    assert tables.rows('SELECT id FROM "Single" ORDER BY id') == [(0,), (2,)]
    tables.restore("--clean", "--tables", "Single")
    assert tables.rows('SELECT count(*) FROM "Single"') == [(3,)]
