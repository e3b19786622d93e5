"""A server that gives few sessions, or one: the restore does with what it has, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from restore.schedule import scheduler as loading

if TYPE_CHECKING:
    from restore.tests.support.target import Target

SCHEMA = """
    CREATE TABLE a (id int PRIMARY KEY, x int UNIQUE, y text);
    CREATE INDEX ON a (y);
    CREATE INDEX ON a (x, y);
    CREATE TABLE b (id serial PRIMARY KEY, a int REFERENCES a, other int REFERENCES a (x));
"""
INDEXES = """
    SELECT indexrelid::regclass::text FROM pg_index
    WHERE indrelid IN ('a'::regclass, 'b'::regclass)
"""
VALID_KEYS = """
    SELECT count(*) FROM pg_constraint
    WHERE contype = 'f' AND convalidated AND conrelid = 'b'::regclass
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize("options", [{}, {"append": True}, {"atomic": True}, {"jobs": 3}])
def test_a_role_with_few_connections(
    target: Target, monkeypatch: pytest.MonkeyPatch, limit: int, options: dict[str, object]
) -> None:
    monkeypatch.setattr(loading, "_WORTH_BYTES", 0)
    target.conn.execute(SCHEMA)
    indexes = sorted(target.rows(INDEXES))
    records = [{"id": n, "x": n, "y": "y"} for n in range(2_000)]
    duplicate, orphan = {"id": 7, "x": 9_999, "y": "z"}, {"id": 0, "a": 5, "other": 10_000}
    children = [{"id": n, "a": n, "other": n} for n in range(1, 5)]
    target.write(a=[*records, duplicate], b=[*children, orphan])
    with target.role(f"CONNECTION LIMIT {limit}") as role:
        target.conn.execute(f"ALTER TABLE a OWNER TO {role}; ALTER TABLE b OWNER TO {role}")
        target.conn.execute(f"GRANT CREATE ON DATABASE {target.conn.info.dbname} TO {role}")
        report = target.load(**options)
        assert report.error is None
        assert [(t.loaded, t.duplicates, t.rejected) for t in report.tables] == [
            (2_000, 1, 0),
            (4, 0, 1),
        ]
        assert sorted(target.rows(INDEXES)) == indexes
        assert target.rows(VALID_KEYS) == [(2,)]
        assert target.rows("SELECT nextval('b_id_seq')") == [(5,)]
    one_by_one = any("one after the other" in line for line in report.warnings)
    assert one_by_one == (limit == 1 and not options.get("atomic"))
