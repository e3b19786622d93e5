"""Foreign keys and indexes that are put aside come back as they were, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from restore.constraints.drop import drop_indexes
from restore.target.catalog import read_tables
from restore.target.relations import read_relations
from restore.tests.support.target import COMPANIES, user, uuid

if TYPE_CHECKING:
    from restore.tests.support.target import Target


def test_cycle_and_self_reference_whatever_the_order(target: Target) -> None:
    users = [user(n, boss=uuid((n + 7) % 50)) for n in range(50)]
    target.write(company=COMPANIES, User=users)
    target.restore("--chunk-bytes", "1024")
    assert target.rows('SELECT count(*), count(boss) FROM "User"') == [(50, 50)]


def test_foreign_keys_come_back_as_they_were(target: Target) -> None:
    query = (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated,"
        " condeferrable, condeferred, obj_description(oid) FROM pg_constraint"
        " WHERE contype = 'f' ORDER BY 1, 2"
    )
    before = target.rows(query)
    target.write(company=COMPANIES, User=[user(n) for n in range(5)])
    target.restore()
    assert target.rows(query) == before
    assert target.rows("SELECT to_regnamespace('restore_journal')::text") == [(None,)]


@pytest.mark.slow
def test_foreign_keys_that_a_killed_restore_left_aside_come_back(target: Target) -> None:
    target.write(company=COMPANIES, User=[user(n) for n in range(3)], post=[])
    before = target.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f'")
    target.kill("commands.job.recreate_all")  # with its keys aside
    assert target.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") != before
    assert len(target.repair()) == 5
    assert target.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") == before
    target.restore("--clean")
    assert target.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") == before
    assert target.rows('SELECT count(*) FROM "User"') == [(3,)]


def schema_of_indexes(target: Target) -> list[Any]:
    return target.rows(
        "SELECT c.relname, pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered,"
        " obj_description(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1"
    )


INDEXES = """
    CREATE INDEX company_name ON company (name DESC NULLS LAST) INCLUDE (owner) WHERE id > 5;
    COMMENT ON INDEX company_name IS 'for the list';
    CREATE INDEX "Capital" ON company USING hash (name);
    CREATE INDEX expression ON company (lower(name) text_pattern_ops);
    CREATE INDEX marked ON company (owner);
    CLUSTER company USING marked;
"""


def test_indexes_come_back_as_they_were(target: Target) -> None:
    target.conn.execute(INDEXES)
    before = schema_of_indexes(target)
    target.write(company=[{"id": n, "name": f"{n}" * 300, "owner": None} for n in range(4000)])
    target.restore()
    assert schema_of_indexes(target) == before
    assert target.rows("SELECT count(*) FROM company") == [(4000,)]


def test_a_record_that_only_an_index_refuses_is_rejected_alone(target: Target) -> None:
    target.conn.execute(INDEXES)
    before = schema_of_indexes(target)
    companies = [{"id": n, "name": f"{n}" * 300, "owner": None} for n in range(4000)]
    companies[77]["name"] = os.urandom(5000).hex()  # too long for a btree, even compressed
    companies[99]["id"] = None
    target.write(company=companies)
    target.restore(exit_code=3)
    assert sorted(target.rejected("company")) == [77, 99]
    assert target.counts()["company"]["loaded"] == 3998
    assert len((target.rejects / "company.jsonl").read_text().splitlines()) == 2
    assert schema_of_indexes(target) == before


def test_of_two_records_with_one_key_the_first_is_in_though_the_key_was_aside(
    target: Target,
) -> None:
    before = schema_of_indexes(target)
    companies = [{"id": n, "name": f"{n}" * 300, "owner": None} for n in range(4000)]
    companies[3999] |= {"id": 5}
    target.write(company=companies)
    target.restore(exit_code=3)
    assert sorted(target.refused("company")) == [3999]
    assert target.rows("SELECT left(name, 1) FROM company WHERE id = 5") == [("5",)]
    assert schema_of_indexes(target) == before


@pytest.mark.slow
def test_an_interrupted_restore_says_so_in_one_line_and_the_next_one_repairs(
    target: Target,
) -> None:
    target.conn.execute(INDEXES)
    before = schema_of_indexes(target)
    keys = target.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f'")
    companies = [{"id": n, "name": f"{n}" * 50, "owner": None} for n in range(100_000)]
    target.write(company=companies, User=[], post=[])
    command = [sys.executable, "-m", "restore", str(target.backup), "--dsn", target.dsn]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()  # the first table has begun
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().splitlines()
    assert process.returncode == 1
    assert said[-1].startswith("restore: interrupted;")
    assert target.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") == keys
    assert schema_of_indexes(target) == before
    assert not [line for line in said[:-1] if not line.startswith("[")]
    target.restore("--clean")
    assert target.rows("SELECT count(*) FROM company") == [(100_000,)]
    assert schema_of_indexes(target) == before
    assert target.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") == keys


def test_notes_of_a_table_that_is_gone_go_as_well(target: Target) -> None:
    target.conn.execute("CREATE TABLE gone (id int); CREATE INDEX i ON gone (id)")
    names = [relation for relation in read_relations(target.conn, None) if relation.name == "gone"]
    [gone] = read_tables(target.conn, [names[0].oid]).values()
    drop_indexes(target.conn, gone)
    target.conn.execute("DROP TABLE gone")
    assert target.repair() == ["recreated index i of gone"]
    assert target.rows("SELECT to_regnamespace('restore_journal')::text") == [(None,)]
