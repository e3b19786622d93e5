"""The identity: ``read = loaded + duplicates + rejected``, whatever a backup holds.

Tables of random records with random damage are restored for real. Each record carries its own
number, so that the table tells which records are in it, and the rejects tell of the others.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import hypothesis
from hypothesis import strategies as st

from restore.tests.support.examples import examples

if TYPE_CHECKING:
    from restore.tests.support.target import Target

SCHEMA = """
    CREATE TABLE p (id int PRIMARY KEY, at int NOT NULL, code text UNIQUE, n int CHECK (n > 0));
    CREATE TABLE c (id int PRIMARY KEY, at int NOT NULL, up int CONSTRAINT c_up REFERENCES p,
        own int CONSTRAINT c_own REFERENCES c, d jsonb)
"""

# Few keys, so that they meet: in duplicates, in parents that are there and in those that are not.
keys = st.integers(1, 30)
sound_parent = st.fixed_dictionaries(
    {"id": keys},
    optional={"code": st.sampled_from(["a", "b", "c", None]), "n": st.integers(1, 5)},
)
sound_child = st.fixed_dictionaries(
    {"id": st.integers(1, 200)},
    optional={
        "up": keys | st.none(),
        "own": st.integers(1, 200),
        "d": st.text('}{,[]"\\é', max_size=5),
    },
)
damage: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        *({"id": None}, {"id": "x"}, {"id": 1.5}, {"id": 2**31}, {"id": [1]}, {"id": "7"}),
        *(
            {"n": -1},
            {"n": "x"},
            {"n": 2.0},
            {"code": "\0"},
            {"code": {"a": 1}},
            {"n": float("nan")},
        ),
        *({"d": "\0"}, {"up": "soon"}, {"up": 99}, {"own": 999}, {"unknown": 1}, {"at": None}),
    ]
)
# What is torn in a record's text, and that it is then no record.
torn = st.sampled_from(["tru", "undefined", '"x', "[1", "1.2.3", "", "'x'", '"\\x"', '"\xff"'])
changes = st.one_of(st.just({}), st.just({}), st.just({}), damage, torn)


@st.composite
def texts(draw: st.DrawFn, sound: st.SearchStrategy[dict[str, Any]], most: int) -> list[bytes]:
    """Draw the records of a table, each with its number, sound or damaged."""
    lines = []
    for at, (record, change) in enumerate(draw(st.lists(st.tuples(sound, changes), max_size=most))):
        if isinstance(change, dict):
            lines.append(json.dumps({"at": at} | record | change).encode())
        else:
            lines.append(
                f'{{"at": {at}, "id": {record["id"]}, "code": {change}}}'.encode("latin-1")
            )
    return lines


def keys_of(lines: list[bytes]) -> dict[int, Any]:
    """Return the key of each record that is an object, by its number.

    What is no UTF-8 may stand in a field that no column takes.
    """
    found = {}
    for at, line in enumerate(lines):
        try:
            found[at] = json.loads(line.decode(errors="replace"))["id"]
        except ValueError:
            continue
    return found


def check(target: Target, table: str, lines: list[bytes]) -> None:
    """See that each record is in the table or in the rejects, and once."""
    told: Any = target.counts()[table]
    refused = target.refused(table)  # agrees with the report and with the table's count
    assert told["read"] == len(lines)
    assert told["read"] == told["loaded"] + told["duplicates"] + told["rejected"]
    assert sum(told["levels"].values()) - told["taken_out"] == told["loaded"]
    loaded = [at for (at,) in target.rows(f"SELECT at FROM {table}")]
    assert sorted([*loaded, *refused]) == list(range(len(lines)))
    for at, reject in refused.items():
        start = reject["offset"]
        data = (target.backup / f"{table}.json").read_bytes()
        assert data[start:].startswith(lines[at]), (lines[at], reject)


def check_first_stays(target: Target, table: str, lines: list[bytes]) -> None:
    """See that a record is called a duplicate only where one before it holds its key."""
    loaded = {at for (at,) in target.rows(f"SELECT at FROM {table}")}
    refused = target.refused(table)
    numbers = keys_of(lines)
    for at, reject in refused.items():
        if reject["kind"] == "duplicate" and reject["constraint"] == f"{table}_pkey":
            # Taken out later for a foreign key, it had the key first all the same.
            first = [
                n
                for n in range(at)
                if str(numbers.get(n)) == str(numbers[at])
                and (n in loaded or refused[n]["level"] == "constraint")
            ]
            assert len(first) == 1, (lines[at], first)


@hypothesis.settings(
    max_examples=examples(8),
    deadline=None,
    # The database is the same, but emptied; and to shrink is to restore hundreds of times.
    suppress_health_check=[
        hypothesis.HealthCheck.function_scoped_fixture,
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.data_too_large,
    ],
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
@hypothesis.given(
    parents=texts(sound_parent, 40),
    children=texts(sound_child, 60),
    chunk_bytes=st.sampled_from([1024, 1 << 20]),
)
def test_every_record_is_in_its_table_or_in_the_rejects(
    target: Target, parents: list[bytes], children: list[bytes], chunk_bytes: int
) -> None:
    target.conn.execute("DROP TABLE IF EXISTS c, p CASCADE")
    target.conn.execute(SCHEMA)
    for file in target.rejects.glob("*"):
        file.unlink()
    target.write_raw({"p": parents, "c": children})
    target.restore("--chunk-bytes", str(chunk_bytes), exit_code=None)
    for table, lines in (("p", parents), ("c", children)):
        check(target, table, lines)
        check_first_stays(target, table, lines)
    # The server itself vouches for what is left.
    query = "SELECT conname FROM pg_constraint WHERE conrelid = 'c'::regclass AND convalidated"
    assert {("c_up",), ("c_own",)} <= set(target.rows(query))
