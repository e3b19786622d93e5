"""What becomes of single JSON values in columns of many types, in a few restores.

Each type gets a table of its own, in which every value is a record. First all of them go in one
batch: so the sound values are also the neighbours that a bad one must not hurt. Then each is a
batch of its own, so that no other record sends it to a level that looks more closely. At
last all go once more without the C.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from restore.tests.support.native import not_built

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from restore.tests.support.target import Target

# The levels on which a record that is whole stands alone.
ALONE = frozenset({"row", "literal"})
READ = frozenset({"read"})


@dataclass(frozen=True, slots=True)
class Refused:
    """A value whose record goes to the rejects: at one of these levels, with this SQLSTATE.

    ``sqlstate`` None: whatever it is; where ours refuses a value, the server is never asked.
    """

    sqlstate: str | None = None
    levels: frozenset[str] = ALONE
    constraint: str | None = None


# Ours refuses it: PostgreSQL would take it and lose something.
LOST = Refused()

# A JSON text as it stands in the file, and the text form of what is then in the column.
Case = tuple[str | bytes, str | Refused | None]


def check(
    target: Target, cases: Mapping[str, Sequence[Case]], *arguments: str, table: str = "cells"
) -> None:
    """Restore all cases, and see that each ends as it should, and no other with it.

    Args:
        target: where to.
        cases: by the column's type, which may be followed by constraints.
        arguments: options of the command.
        table: what the tables' names begin with.
    """
    names = {kind: f"{table}_{number}" for number, kind in enumerate(cases)}
    for kind, name in names.items():
        target.conn.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v {kind})")
    target.write_raw({names[kind]: map(_record, range(len(of)), of) for kind, of in cases.items()})
    bad = any(isinstance(case[1], Refused) for of in cases.values() for case in of)
    problems = []
    ways: dict[str, tuple[tuple[str, ...], contextlib.AbstractContextManager[None]]] = {
        "together": (arguments, contextlib.nullcontext()),
        "alone": ((*arguments, "--batch-size", "1"), contextlib.nullcontext()),
        "in Python": ((*arguments, "--jobs", "1"), not_built()),
    }
    for way, (options, around) in ways.items():
        with around:
            target.restore("--clean", *options, exit_code=3 if bad else 0)
        problems += [
            f"{kind}, {way}, {problem}"
            for kind, name in names.items()
            for problem in _problems(target, name, cases[kind])
        ]
        for name in names.values():
            (target.rejects / f"{name}.jsonl").unlink(missing_ok=True)
    assert not problems, "\n".join(problems)


def _record(number: int, case: Case) -> bytes:
    value = case[0] if isinstance(case[0], bytes) else case[0].encode()
    return b'{"id": %d, "v": %b}' % (number, value)


def _problems(target: Target, table: str, cases: Sequence[Case]) -> list[str]:
    """Say what came out otherwise than it should."""
    query = sql.SQL("SELECT id, v::text FROM {}").format(sql.Identifier(table))
    loaded = dict(target.conn.execute(query).fetchall())
    refused = target.refused(table)
    problems = []
    for number, (value, expected) in enumerate(cases):
        if number in loaded:
            found: object = loaded[number]
            right = found == expected
        else:
            reject = refused.get(number)
            found = reject and {k: v for k, v in reject.items() if k not in _SAME}
            right = isinstance(expected, Refused) and _fits(expected, reject)
        if not right:
            shown = value[:60]
            problems.append(f"given {shown!r}: expected {expected!r}, found {found!r}")
    return problems


_SAME = {"table", "schema", "ordinal", "offset", "length", "raw"}


def _fits(expected: Refused, reject: dict[str, object] | None) -> bool:
    return (
        reject is not None
        and reject["kind"] == "rejected"
        and reject["level"] in expected.levels
        and expected.sqlstate in {None, reject.get("sqlstate")}
        and expected.constraint in {None, reject.get("constraint")}
    )
