"""No message holds so much of a backup that nobody can read it, nor what a terminal would obey."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restore.tests.support.target import Target

BIG = "x" * 300_000
LONGEST = 1_000


def texts(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for name, inner in value.items():
                if name != "unknown_fields":
                    yield from texts(inner)
        case list():
            for inner in value:
                yield from texts(inner)
        case str():
            yield value


def test_values_names_and_messages_are_clipped(target: Target) -> None:
    target.conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v int, e text CHECK (length(e) < 9), u text UNIQUE)"
    )
    odd = "\x1b[31m\x07\u202e" + "u" * 2_000
    records = [
        {"id": 1},
        {"id": 2, BIG: 1},
        {"id": 3, "v": BIG},
        {"id": 4, "e": BIG},
        {"id": 5, "u": odd},
        {"id": 6, "u": odd},
        {"id": 7, "\x1b[31mred": 1},
        {"id": 8, "v": f"\x1b]0;{BIG}\x07"},
    ]
    target.write(t=records)
    output = target.restore(exit_code=3)
    assert len(output) < 10_000
    assert output.replace("\n", "").isprintable()
    for reject in target.refused("t").values():
        assert len(reject["message"]) <= 2 * LONGEST + 2
    report = json.loads(target.report.read_bytes())
    assert max(map(len, texts(report))) <= LONGEST
    assert not any("ADD COLUMN" in text for text in texts(report["next_steps"]))


def test_an_error_is_clipped(target: Target) -> None:
    target.conn.execute("CREATE TABLE t (id int)")
    target.write(t=[{"id": 1, BIG: 1}])
    output = target.restore("--unknown-fields", "error", exit_code=2)
    assert len(output) < 10_000
    assert "has no column for 'xxx" in output
