"""Files that pandas 3.1 wrote, in each orient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from restore.source.formats import pandas
from restore.source.formats.format import FormatError
from restore.tests.formats.reading import found_in
from restore.tests.formats.tables import rows, table

if TYPE_CHECKING:
    from restore.source.formats.format import Format

CASES = Path(__file__).parent / "cases"
SPLIT, TABLE, BY_INDEX, BY_COLUMN = pandas.FORMATS
USERS = {"users": table("id", "name", "at")}
NAMED = {
    SPLIT: b'{"columns":["id","name"],"index":[0,1],"data":[[1,"a\\nb"],[2,null]]}',
    TABLE: b'{"schema":{"fields":[{"name":"index","type":"integer"},{"name":"id","type":"integer"},'
    b'{"name":"name","type":"string","extDtype":"str"}],"primaryKey":["index"],'
    b'"pandas_version":"1.4.0"},"data":[{"index":0,"id":1,"name":"a\\nb"},'
    b'{"index":1,"id":2,"name":null}]}',
    BY_INDEX: b'{"0":{"id":1,"name":"a\\nb"},"1":{"id":2,"name":null}}',
    BY_COLUMN: b'{"id":{"0":1,"1":2},"name":{"0":"a\\nb","1":null}}',
}
# The same with set_index("id") of the rows 7 and 8.
KEYED = {
    SPLIT: b'{"columns":["name"],"index":[7,8],"data":[["a\\nb"],[null]]}',
    TABLE: b'{"schema":{"fields":[{"name":"id","type":"integer"},{"name":"name","type":"string"}],'
    b'"primaryKey":["id"],"pandas_version":"1.4.0"},"data":[{"id":7,"name":"a\\nb"},'
    b'{"id":8,"name":null}]}',
    BY_INDEX: b'{"7":{"name":"a\\nb"},"8":{"name":null}}',
    BY_COLUMN: b'{"name":{"7":"a\\nb","8":null},"at":{"7":1,"8":2}}',
}
EACH = pytest.mark.parametrize("reader", pandas.FORMATS, ids=lambda each: each.name)


@EACH
@pytest.mark.parametrize("indent", [None, 2])
def test_the_rows_are_those_of_the_frame(reader: Format, indent: int | None) -> None:
    data = json.dumps(json.loads(NAMED[reader]), indent=indent).encode()

    assert [each.name for each in pandas.FORMATS if each.detect(data)] == [reader.name]
    for tables in (USERS, None):
        assert rows(reader, data, tables) == [
            (None, {"id": 1, "name": "a\nb"}),
            (None, {"id": 2, "name": None}),
        ]


@EACH
def test_an_index_is_the_key_if_no_column_is(reader: Format) -> None:
    assert reader.detect(KEYED[reader])

    found = [(int(row["id"]), row["name"]) for _, row in rows(reader, KEYED[reader], USERS)]

    assert found == [(7, "a\nb"), (8, None)]


@pytest.mark.parametrize("reader", [SPLIT, BY_INDEX, BY_COLUMN], ids=lambda each: each.name)
def test_an_index_that_may_number_the_rows_is_no_key(reader: Format) -> None:
    data = KEYED[reader].replace(b'"7"', b'"0"').replace(b"[7,", b"[0,")

    with pytest.raises(FormatError, match="no column of it is id"):
        found_in(reader, data, USERS)


def test_a_column_of_the_table_named_index_is_one() -> None:
    tables = {"users": table("id", "name", "index")}

    assert rows(TABLE, NAMED[TABLE], tables)[1][1] == {"index": 1, "id": 2, "name": None}


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(FormatError, match="'id' twice"):
        found_in(SPLIT, NAMED[SPLIT].replace(b'"name"', b'"id"'), USERS)


def test_columns_with_another_index_are_refused() -> None:
    with pytest.raises(FormatError, match="same index"):
        found_in(BY_COLUMN, b'{"id":{"0":1,"1":2},"name":{"0":"a","2":null}}', USERS)


def test_columns_that_are_too_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pandas, "_LARGEST_BYTES", 20)

    with pytest.raises(FormatError, match=r'to_json\(orient="records", lines=True\)'):
        found_in(BY_COLUMN, NAMED[BY_COLUMN], USERS)


@pytest.mark.parametrize(("reader", "end"), [(SPLIT, 50), (TABLE, 190), (BY_INDEX, 20)])
def test_the_start_of_a_file_is_enough(reader: Format, end: int) -> None:
    assert reader.detect(NAMED[reader][:end])


@EACH
def test_a_file_that_is_cut_off_says_so(reader: Format) -> None:
    with pytest.raises(FormatError, match=r"truncated|damaged"):
        found_in(reader, NAMED[reader][:-4], USERS)


@EACH
@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"[]",
        b"{}",
        b'{"id": 1}',
        b'{"id": 1, "name": {"0": "x"}}',
        b'{"prices": {"1": 5}}',
        b'{"prices": {"1": 5}, "names": {"1": "x"}}\n{"prices": {"1": 6}, "names": {"1": "y"}}',
        b'{"prices": {"1": 5}, "names": {"2": "x"}}',
        b'{"-Na": {"id": 1}, "-Nb": {"id": 2}}',
        b'{"columns": ["a"], "rows": []}',
        b'{"columns": ["a"], "data": [{"a": 1}]}',
        b'{"data": [{"a": 1}], "schema": {"fields": []}}',
        b'[{"columns": ["a"], "data": [[1]]}]',
    ],
)
def test_other_files_are_not_theirs(reader: Format, start: bytes) -> None:
    assert not reader.detect(start)


@pytest.mark.parametrize("name", ["split", "columns"])
def test_cases_are_recognised(name: str) -> None:
    data = (CASES / f"pandas-{name}" / "files" / "users.json").read_bytes()
    (reader,) = (each for each in pandas.FORMATS if each.detect(data))

    assert reader.name == f"pandas-{name}"
    assert [row["id"] for _, row in rows(reader, data, USERS)] == [1, 2, 3]
