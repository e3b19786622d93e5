"""Documents deeper than a parser's recursion: all that PostgreSQL takes is restored."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from restore import Options
from restore.commands.retry import retry
from restore.source.json_values import TRUNCATED, check_value, members_of, values_of
from restore.source.shards import cut_into_shards
from restore.source.table_file import TableFile
from restore.tests.support.native import not_built

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.tests.support.target import Target


def nested(levels: int) -> str:
    """Objects and arrays in turn."""
    return '{"a":[' * (levels // 2) + "1" + "]}" * (levels // 2)


def record(number: int, levels: int) -> str:
    return f'{{"id":{number},"v":{nested(levels)},"w":{nested(levels)}}}'


@pytest.fixture
def documents(target: Target) -> Target:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v jsonb, w json)")
    return target


@pytest.fixture(params=["c", "python", "by name"])
def each_way(documents: Target, request: pytest.FixtureRequest) -> Iterator[Target]:
    """A table whose records are packed in C, or decoded by a Struct, or by their fields' names."""
    if request.param == "by name":
        documents.conn.execute("""ALTER TABLE t ADD "a""b" int""")  # which no Struct takes
    with not_built() if request.param == "python" else contextlib.nullcontext():
        yield documents


def stored(target: Target) -> dict[int, str]:
    rows = target.rows("SELECT id, replace(v::text, ' ', ''), w::text FROM t")
    assert all(v == w for _, v, w in rows)
    return {number: v for number, v, _ in rows}


@pytest.mark.slow
def test_documents_of_many_levels_are_restored(each_way: Target) -> None:
    levels = [2, 900, 1_000, 3_000, 10_000, 4]
    texts = [record(n, of) for n, of in enumerate(levels)]
    each_way.write_raw({"t": texts})
    each_way.restore()
    assert stored(each_way) == {n: nested(of) for n, of in enumerate(levels)}


@pytest.mark.slow
@pytest.mark.parametrize("levels", [100_000, 800_000])
def test_what_postgresql_finds_too_deep_is_rejected_alone_in_its_words(
    each_way: Target, levels: int
) -> None:
    each_way.write_raw({"t": [record(0, 2), record(1, levels), record(2, 3_000)]})
    each_way.restore(exit_code=3)
    assert stored(each_way) == {0: nested(2), 2: nested(3_000)}
    [reject] = each_way.refused("t").values()
    assert reject["sqlstate"] == "54001"
    assert reject["message"].startswith("stack depth limit exceeded: Increase the configuration")


def test_damage_beside_deep_documents_costs_no_other_record(documents: Target) -> None:
    deep = nested(3_000)
    texts = [
        record(0, 3_000),
        f'{{"id":1,"v":{deep[:-1]}}}',  # a bracket is missing
        record(2, 3_000),
        f'{{"id":3,"v":{deep.replace("1", "tru")}}}',
        record(4, 2),
        f'{{"id":5,"v":{deep}]}}',
        record(6, 3_000),
    ]
    documents.write_raw({"t": texts})
    documents.restore(exit_code=3)
    whole = {0: deep, 2: deep, 4: nested(2), 6: deep}
    assert stored(documents) == whole
    assert sorted(documents.refused("t")) == [1, 3, 5]


def test_a_file_that_is_cut_off_in_a_deep_document(documents: Target) -> None:
    text = f"[{record(0, 3_000)},{record(1, 3_000)}"
    (documents.backup / "t.json").write_text(text[:-4_000])
    output = documents.restore(exit_code=3)
    assert "is cut off" in output
    assert stored(documents) == {0: nested(3_000)}
    assert list(documents.refused("t")) == [1]


@pytest.mark.slow
@pytest.mark.parametrize("form", ['{{"t":[{0}],"u":[]}}', "{0}", "[\n  {0}\n]\n", "[{0}]\n[{1}]"])
def test_every_form_of_a_file_may_hold_deep_documents(documents: Target, form: str) -> None:
    documents.conn.execute("CREATE TABLE u (id int)")
    name = "t.jsonl" if form == "{0}" else "all.json" if "u" in form else "t.json"
    file = documents.backup / name
    file.write_text(form.format(record(0, 3_000), record(1, 3_000)))
    documents.restore()
    assert stored(documents)[0] == nested(3_000)


def test_a_file_of_deep_documents_is_cut_into_shards(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(f"[{','.join(record(n, 3_000) for n in range(40))}]")
    assert len(list(cut_into_shards(TableFile(path, "t", None), 200_000))) > 3


@pytest.mark.slow
@pytest.mark.parametrize("as_object", [False, True])
def test_retry_takes_a_deep_record(documents: Target, *, as_object: bool) -> None:
    documents.conn.execute("ALTER TABLE t ADD CHECK (id > 0)")
    documents.write_raw({"t": [record(0, 3_000), record(1, 3_000)]})
    documents.restore(exit_code=3)
    documents.conn.execute("ALTER TABLE t DROP CONSTRAINT t_id_check")
    path = documents.rejects / "t.jsonl"
    if as_object:
        line = json.loads(path.read_text())
        raw = line.pop("raw")
        path.write_text(f'{{"raw":{raw},{json.dumps(line)[1:]}\n')
    report = retry(documents.rejects, Options(backup=Path(), dsn=documents.dsn))
    assert report.complete
    assert stored(documents) == dict.fromkeys(range(2), nested(3_000))


def test_orphans_and_duplicates_with_deep_documents(documents: Target) -> None:
    documents.conn.execute("ALTER TABLE t ADD parent int REFERENCES t")
    texts = [f'{record(n, 3_000)[:-1]},"parent":{0 if n < 3 else 99}}}' for n in range(4)]
    documents.write_raw({"t": [*texts, record(1, 3_000)]})
    documents.restore(exit_code=3)
    assert sorted(stored(documents)) == [0, 1, 2]
    kinds = {n: reject["kind"] for n, reject in documents.refused("t").items()}
    assert kinds == {3: "rejected", 4: "duplicate"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("type_", "message"),
    [
        ("text", "a JSON document does not fit"),
        ("int[]", "a JSON document does not fit"),
        ("text[]", "a JSON document does not fit"),
        ("bytea", "these are no bytes"),
        ("interval", "no interval can be made"),
        ("point", "no point can be made"),
        ("pair", "type pair has no field"),
        ("pair[]", "no pair can be made"),
    ],
)
def test_a_column_that_takes_no_such_document(target: Target, type_: str, message: str) -> None:
    target.conn.execute(f"CREATE TYPE pair AS (b int); CREATE TABLE t (id int, v {type_})")
    is_array = type_.endswith("[]")
    deep = "[" * 3_000 + "]" * 3_000 if is_array else nested(3_000)
    target.write_raw({"t": ['{"id":0}', f'{{"id":1,"v":{deep}}}', '{"id":2}']})
    target.restore(exit_code=3)
    assert target.rows("SELECT id, v FROM t ORDER BY id") == [(0, None), (2, None)]
    assert message in target.refused("t")[1]["message"]


def test_arrays_of_documents_and_of_six_dimensions(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (v jsonb[], w int[])")
    target.write_raw({"t": [f'{{"v":[{nested(3_000)},[[1]]],"w":[[[[[[1,2]]]]]]}}']})
    target.restore()
    [(first, second, cube)] = target.rows("SELECT v[1]::text, v[2]::text, w FROM t")
    assert (first.replace(" ", ""), second, cube) == (nested(3_000), "[[1]]", [[[[[[1, 2]]]]]])


def test_a_record_of_many_fields(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int, f5 int)")
    wide = json.dumps({"id": 1} | {f"f{n}": n for n in range(100_000)})
    target.write_raw({"t": ['{"id":0}', wide, '{"id":2}']})
    target.restore()
    assert target.rows("SELECT id, f5 FROM t ORDER BY id") == [(0, None), (1, 5), (2, None)]


LEVELS = st.sampled_from([1, 2, 255, 256, 257, 511, 512, 513, 1_025, 1_500])
WRAPS = st.sampled_from(
    [("[", "]"), ('{"a":', "}"), ("[[], ", "]"), ('["]}", {"b{":', ' },"\\""]')]
)


def shallow_twin(text: str) -> str | None:
    """Say what msgspec finds wrong with a document, None for nothing, at a smaller depth."""
    try:
        check_value(text.encode())
    except msgspec.DecodeError as error:
        return str(error).partition(" (byte")[0]
    return None


@hypothesis.given(
    wraps=st.lists(st.tuples(WRAPS, LEVELS), min_size=1, max_size=3),
    inner=st.sampled_from(["1", "[]", "{}", "null", '"x"', "tru", "[1,]", '{"a"}', "01", ""]),
    cut_into_shards=st.integers(0, 3),
)
def test_a_deep_value_is_judged_as_one_that_is_not(
    wraps: list[tuple[tuple[str, str], int]], inner: str, cut_into_shards: int
) -> None:
    def document(times: int) -> str:
        text = inner
        for (opening, closing), levels in wraps:
            count = min(levels, times)
            text = opening * count + text + closing * count
        return text[: len(text) - cut_into_shards]

    deep, shallow = document(1_500), document(4)
    assert shallow_twin(deep) == shallow_twin(shallow)
    if shallow_twin(deep) is None and not cut_into_shards:
        assert [bytes(m) for m in members_of(f" [1, {deep},\n2 ]".encode())] == [
            b"1",
            deep.encode(),
            b"2",
        ]
        fields = values_of(f'{{"\\u0061" : {deep} , "b":"]"}}'.encode())
        assert {name: bytes(raw) for name, raw in fields.items()} == {
            "a": deep.encode(),
            "b": b'"]"',
        }


@pytest.mark.parametrize(
    "text", ["[1 {0}]", "[{0},]", "[,{0}]", "[{0}}}", "[{0}] 1", "{{{0}}}", "[{0}", "[1]]{0}"]
)
def test_what_is_no_array_of_deep_values_is_refused(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        members_of(text.format(nested(3_000)).encode())


@pytest.mark.parametrize("text", ['{{"a"{0}}}', '{{"a":{0},}}', "{{1:{0}}}", '{{"a":{0}]', "[{0}]"])
def test_what_is_no_object_of_deep_values_is_refused(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        values_of(text.format(nested(3_000)).encode())


def test_a_beginning_is_told_from_what_is_malformed() -> None:
    deep = nested(3_000).encode()
    for end in (10, 3_000, len(deep) // 2, len(deep) - 1):
        with pytest.raises(msgspec.DecodeError) as caught:
            check_value(deep[:end])
        assert str(caught.value) == TRUNCATED
    check_value(deep + b"]")
