"""Item 3: a bad token in mid-array; ``NaN`` and ``Infinity``, which Python writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from restore.tests.support.cells import ALONE, READ, Refused, check

if TYPE_CHECKING:
    from restore.tests.support.target import Target

UNCLOSED = "unclosed object"
BAD = {
    "token": '{"id": %d, "v": tru}',
    "undefined": '{"id": %d, "v": undefined}',
    "number": '{"id": %d, "v": 1.2.3}',
    "leading zero": '{"id": %d, "v": 007}',
    "no comma": '{"id": %d "v": "x"}',
    "no colon": '{"id": %d, "v" "x"}',
    "no value": '{"id": %d, "v": }',
    "no quotes": '{"id": %d, v: "x"}',
    "single quotes": "{'id': %d, 'v': 'x'}",
    "comma at the end": '{"id": %d, "v": "x",}',
    "unclosed string": '{"id": %d, "v": "x}',
    UNCLOSED: '{"id": %d, "v": "x"',
    "unclosed array": '{"id": %d, "v": ["x"}',
    "bad escape": r'{"id": %d, "v": "\x41"}',
    "line end in a string": '{"id": %d, "v": "x\ny"}',
    "comment": '{"id": %d, /* none */ "v": "x"}',
}
# Sound JSON, but no records.
NO_OBJECTS = ["12", "1.5", '"text"', "null", "true", "[]", '[{"id": 4}]', '["{", "}"]']


def sound(number: int) -> str:
    return json.dumps({"id": number, "v": f'brace }} comma , quote " {number}'})


def records(at: int, bad: str) -> list[str]:
    return [bad % at if number == at else sound(number) for number in range(9)]


def ends(target: Target, number: int) -> tuple[dict[int, str], list[int]]:
    """Return the level of each reject of a table, and which records are in it."""
    rejects = target.refused(f"t{number}")
    rows = target.rows(f"SELECT id FROM t{number} ORDER BY id")
    return {at: reject["level"] for at, reject in rejects.items()}, [row for (row,) in rows]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["lines", "one line", "pretty"])
def test_each_kind_of_damage_in_mid_array(target: Target, form: str) -> None:
    start, between = {
        "lines": ("[\n", ",\n"),
        "one line": ("[", ","),
        "pretty": ("[\n  ", ",\n  "),
    }[form]
    # In one line, nothing but its neighbour's start ends a record that is not closed.
    bad = {name: text for name, text in BAD.items() if (form, name) != ("one line", UNCLOSED)}
    for number, text in enumerate(bad.values()):
        target.conn.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, v text)")
        lines = records(4, text)
        if form == "pretty":
            lines = [line.replace('{"id"', '{\n    "id"') for line in lines]
        (target.backup / f"t{number}.json").write_text(start + between.join(lines) + "\n]")
    target.restore(exit_code=3)
    assert {damage: ends(target, number) for number, damage in enumerate(bad)} == dict.fromkeys(
        bad, ({4: "read"}, [0, 1, 2, 3, 5, 6, 7, 8])
    )


def test_a_record_that_is_not_closed_does_not_take_its_neighbour_along(target: Target) -> None:
    target.conn.execute("CREATE TABLE t0 (id int PRIMARY KEY, v text)")
    (target.backup / "t0.json").write_text(f"[{','.join(records(4, BAD[UNCLOSED]))}]")
    target.restore(exit_code=3)
    assert ends(target, 0) == ({4: "read"}, [0, 1, 2, 3, 5, 6, 7, 8])


def test_what_is_no_object_is_no_record(target: Target) -> None:
    target.conn.execute("CREATE TABLE t0 (id int PRIMARY KEY, v text)")
    lines = [line for number, bad in enumerate(NO_OBJECTS) for line in (sound(number), bad)]
    target.write_raw({"t0": lines})
    target.restore(exit_code=3)
    kept, loaded = ends(target, 0)
    assert loaded == list(range(len(NO_OBJECTS)))
    assert kept == dict.fromkeys(range(1, 2 * len(NO_OBJECTS), 2), "read")


def test_each_kind_of_damage_in_json_lines(target: Target) -> None:
    fit = {name: bad for name, bad in BAD.items() if "\n" not in bad}
    for number, bad in enumerate(fit.values()):
        target.conn.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, v text)")
        (target.backup / f"t{number}.jsonl").write_text("\n".join(records(4, bad)) + "\n")
    target.restore(exit_code=3)
    for number, (damage, bad) in enumerate(fit.items()):
        [(ordinal, reject)] = target.rejected(f"t{number}").items()
        data = (target.backup / f"t{number}.jsonl").read_text()
        assert (ordinal, reject["level"]) == (4, "read"), damage
        assert reject["raw"] == bad % 4, damage
        assert data[reject["offset"] :].startswith(reject["raw"]), damage
        assert target.counts()[f"t{number}"]["loaded"] == 8, damage


@pytest.mark.parametrize("at", [0, 8])
def test_damage_at_either_end_of_the_array(target: Target, at: int) -> None:
    for number, bad in enumerate(BAD.values()):
        target.conn.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, v text)")
        target.write_raw({f"t{number}": records(at, bad)})
    target.restore(exit_code=3)
    others = [number for number in range(9) if number != at]
    assert {damage: ends(target, number) for number, damage in enumerate(BAD)} == dict.fromkeys(
        BAD, ({at: "read"}, others)
    )


def test_a_brace_too_many_does_not_take_its_record_along(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    target.write_raw({"t": [sound(1), sound(2) + "}", sound(3)]})
    target.restore(exit_code=3)
    [reject] = target.refused("t").values()
    assert (reject["level"], reject["raw"]) == ("read", "}")
    assert target.rows("SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,)]


def test_damage_next_to_damage_stays_apart(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    lines = [bad % number for number, bad in enumerate(BAD.values())]
    target.write_raw({"t": [sound(-1), *lines, sound(-2), sound(-3)]})
    target.restore(exit_code=3)
    assert sorted(target.refused("t")) == list(range(1, len(BAD) + 1))
    assert target.rows("SELECT id FROM t ORDER BY id") == [(-3,), (-2,), (-1,)]


def test_nan_and_infinity_go_where_a_column_has_them(target: Target) -> None:
    """Other columns refuse them, and their neighbours are never hurt."""
    no_number = Refused(levels=READ | ALONE)
    takes = [("NaN", "NaN"), ("Infinity", "Infinity"), ("-Infinity", "-Infinity"), ("1", "1")]
    refuses = [(token, no_number) for token in ("NaN", "Infinity", "-Infinity")]
    check(
        target,
        {
            "float8": takes,
            "float4": takes,
            "numeric": takes,
            "numeric(10,2)": [("NaN", "NaN"), ("Infinity", no_number), ("1", "1.00")],
            "int": [*refuses, ("1", "1")],
            "text": [*refuses, ('"NaN"', "NaN"), ('"say NaN, Infinity"', "say NaN, Infinity")],
            "jsonb": [*refuses, ('{"a": NaN}', no_number), ('"NaN"', '"NaN"'), ("1", "1")],
            "boolean": [*refuses, ("true", "true")],
        },
    )


def test_tokens_of_python_beside_texts_that_look_like_them(target: Target) -> None:
    """The record is kept whole: its strings are not touched where a token is read."""
    target.conn.execute("CREATE TABLE m (id int PRIMARY KEY, x float8, t text, j jsonb)")
    text = 'NaN, "x": Infinity, \\" -Infinity'
    values = [float("nan"), float("inf"), float("-inf"), 1.5]
    rows = [{"id": n, "x": x, "t": text, "j": {"NaN": text}} for n, x in enumerate(values)]
    target.write(m=rows)
    target.restore()
    assert target.rows("SELECT x::text FROM m ORDER BY id") == [
        *(("NaN",), ("Infinity",), ("-Infinity",), ("1.5",))
    ]
    assert target.rows("SELECT DISTINCT t, j FROM m") == [(text, {"NaN": text})]
