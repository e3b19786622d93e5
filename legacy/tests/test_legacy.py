"""The naive restorer on a real server: right on clean data, loud about what it loses."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from harness.generate import DatasetSpec, generate
from harness.model import manifest
from harness.trial import verify
from legacy.loadall import DRIVERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Legacy = Callable[..., subprocess.CompletedProcess[str]]

SECRET = "hunter2"

SCHEMA = """
CREATE TABLE parents (id bigint PRIMARY KEY, born timestamptz, day date, local timestamp(3));
CREATE TABLE children (
    id bigint PRIMARY KEY, parent bigint NOT NULL REFERENCES parents, doc jsonb, data bytea
);
"""
PARENTS = [
    {
        "id": one,
        "born": "2024-03-05T23:30:00.123Z",
        "day": "2024-03-05T00:00:00.000Z",
        "local": "2024-03-05T23:30:00.123Z",
    }
    for one in range(3)
]
CHILDREN = [{"id": one, "parent": one % 3, "doc": None, "data": "aGVsbG8="} for one in range(5)]


@pytest.fixture(
    params=[
        pytest.param(driver, marks=[pytest.mark.slow] if driver != DRIVERS[0] else [])
        for driver in DRIVERS
    ]
)
def legacy(request: pytest.FixtureRequest) -> Legacy:
    """Return what runs the command with each of its drivers."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "legacy", *map(str, arguments), f"--driver={request.param}"],
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the only line of standard error; a traceback would have more."""
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    return line


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    folder = tmp_path / "root" / "20240101_000000"
    folder.mkdir(parents=True)
    (folder / "parents.json").write_text(json.dumps(PARENTS))
    (folder / "children.json").write_text(json.dumps(CHILDREN))
    return folder


@pytest.fixture
def target(database: Any) -> Any:
    with database.connect() as connection:
        connection.execute(SCHEMA)
    return database


def count(database: Any, table: str) -> int:
    with database.connect() as connection:
        found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(found[0])


@pytest.mark.slow
@pytest.mark.parametrize("compress", ["none", "gz"])
def test_without_faults_everything_arrives_exactly(
    legacy: Legacy, database: Any, tmp_path: Path, compress: str
) -> None:
    folder = generate(DatasetSpec(rows=3000, compress=compress), tmp_path)
    truth = manifest.load(folder)
    with database.connect() as connection:
        connection.execute((folder / manifest.SCHEMA_SQL).read_text())
    done = legacy(tmp_path, "--dsn", database.dsn, "--report", tmp_path / "report.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with database.connect() as connection:
        results = verify.verify(connection, folder, truth)
    assert all(result.checksum_match for result in results)
    report = json.loads((tmp_path / "report.json").read_text())
    assert sum(table["loaded"] for table in report["tables"]) == 3000
    assert 10_000_000 < report["peak_bytes"] < 1_000_000_000


def test_one_bad_record_loses_its_table_and_says_so(
    legacy: Legacy, target: Any, backup: Path
) -> None:
    bad = [*CHILDREN, {**CHILDREN[0], "id": 99, "parent": 77}]
    (backup / "children.json").write_text(json.dumps(bad))
    report = backup.parent.parent / "report.json"
    done = legacy(backup, "--dsn", target.dsn, "--report", report)
    assert done.returncode == 1
    line = one_line(done)
    assert line.startswith("legacy: children is lost, all 6 records of it: ")
    assert "foreign key" in line
    assert (count(target, "parents"), count(target, "children")) == (3, 0)
    parents, children = json.loads(report.read_text())["tables"]
    assert (parents["read"], parents["loaded"], parents["error"]) == (3, 3, None)
    assert (children["read"], children["loaded"], children["rejected"]) == (6, 0, 6)
    assert "foreign key" in children["error"]


def test_error_in_mid_insert_is_one_line(legacy: Legacy, target: Any, backup: Path) -> None:
    (backup / "parents.json").write_text(json.dumps(PARENTS * 500))
    (backup / "children.json").unlink()
    done = legacy(backup, "--dsn", target.dsn)
    assert done.returncode == 1
    assert "duplicate key" in one_line(done)


def test_broken_json_loses_only_its_table(legacy: Legacy, target: Any, backup: Path) -> None:
    (backup / "children.json").write_text(json.dumps(CHILDREN)[:-20])
    done = legacy(backup, "--dsn", target.dsn)
    assert done.returncode == 1
    assert "children is lost" in one_line(done)
    assert count(target, "parents") == 3


def test_times_do_not_depend_on_the_servers_time_zone(
    legacy: Legacy, target: Any, backup: Path
) -> None:
    with target.connect() as connection:
        connection.execute(f"ALTER DATABASE \"{target.name}\" SET TimeZone = 'Asia/Tokyo'")
    assert legacy(backup, "--dsn", target.dsn).returncode == 0
    with target.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(
            "SELECT DISTINCT born::text, day::text, local::text FROM parents"
        ).fetchall()
        nulls = connection.execute("SELECT count(*) FROM children WHERE doc IS NULL").fetchone()
    instant = "2024-03-05 23:30:00.123"
    assert found == [(f"{instant}+00", "2024-03-05", instant)]
    assert nulls == (5,)


def test_newest_of_several_backups_is_taken(legacy: Legacy, target: Any, backup: Path) -> None:
    newer = backup.parent / "20240102_000000"
    newer.mkdir()
    (newer / "parents.json").write_text(json.dumps(PARENTS[:1]))
    assert legacy(backup.parent, "--dsn", target.dsn).returncode == 0
    assert (count(target, "parents"), count(target, "children")) == (1, 0)


def test_declared_order_is_kept(legacy: Legacy, target: Any, backup: Path) -> None:
    done = legacy(backup, "--dsn", target.dsn, "--tables", "children,parents")
    assert done.returncode == 1
    assert "children is lost" in one_line(done)
    assert (count(target, "parents"), count(target, "children")) == (3, 0)


def test_commit_that_fails_loses_all_and_says_so(legacy: Legacy, target: Any, backup: Path) -> None:
    with target.connect() as connection:
        connection.execute(
            "ALTER TABLE children ALTER CONSTRAINT children_parent_fkey"
            " DEFERRABLE INITIALLY DEFERRED"
        )
    (backup / "parents.json").write_text("[]")
    report = backup.parent.parent / "report.json"
    done = legacy(backup, "--dsn", target.dsn, "--report", report)
    assert done.returncode == 1
    assert all("could not be committed" in line for line in done.stderr.splitlines())
    assert count(target, "children") == 0
    assert all(table["loaded"] == 0 for table in json.loads(report.read_text())["tables"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "ghosts.json").write_text("[]"), "no table ghosts"),
        (lambda folder: (folder / "parents.json").write_text("{}"), "not an array"),
        (lambda folder: (folder / "parents.json").write_text(""), "parents is lost"),
        (lambda folder: (folder / "parents.json.gz").write_bytes(b"no gzip"), "parents is lost"),
    ],
)
def test_file_that_is_no_table_is_named(
    legacy: Legacy, target: Any, backup: Path, spoil: Any, said: str
) -> None:
    (backup / "children.json").unlink()
    spoil(backup)
    done = legacy(backup, "--dsn", target.dsn)
    assert done.returncode == 1
    assert said in one_line(done)


@pytest.mark.slow
def test_input_that_makes_no_sense_is_exit_2(
    legacy: Legacy, target: Any, backup: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert "no backup at" in usage(legacy, tmp_path / "nowhere", "--dsn", target.dsn)
    assert "holds no .json files" in usage(legacy, tmp_path / "empty", "--dsn", target.dsn)
    assert "no file for table x" in usage(
        legacy, backup, "--dsn", target.dsn, "--tables", "parents,x"
    )
    (backup / "unknown.json").write_text("[]")
    assert "has no table unknown" in usage(
        legacy, backup, "--dsn", target.dsn, "--tables", "unknown"
    )
    (backup / "unknown.json").unlink()
    (backup / "folder.json").mkdir()
    assert "cannot be read" in usage(legacy, backup, "--dsn", target.dsn)
    (backup / "more.json.zst").write_bytes(gzip.compress(b"[]"))
    assert "neither .json nor .json.gz" in usage(legacy, backup, "--dsn", target.dsn)


def usage(legacy: Legacy, *arguments: object) -> str:
    done = legacy(*arguments)
    assert done.returncode == 2
    return one_line(done)


def test_a_shell_completes_its_options(legacy: Legacy) -> None:
    pytest.importorskip("shtab")
    done = legacy("--print-completion", "bash")
    assert done.returncode == 0
    assert done.stderr == ""
    checked = subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=False)
    assert checked.returncode == 0
    assert {"--dsn", "--report", "--driver", "--tables"} <= set(re.findall(r"--\w+", done.stdout))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dsn", "code"),
    [
        (f"postgresql://someone:{SECRET}@127.0.0.1:1/none", 1),
        (f"postgresql://someone:{SECRET}@/none?host=/nowhere", 1),
        (f"postgresql://someone:{SECRET}/x@127.0.0.1/none", 2),
        (f"postgresql://someone:x@{SECRET}@127.0.0.1/none", 2),
        (f"postgresql://someone:{SECRET}%zz@127.0.0.1/none", 2),
        (f"postgresql://someone:{SECRET}@127.0.0.1/none?nonsense=1", 2),
    ],
)
def test_database_that_does_not_answer_is_one_line_without_a_password(
    legacy: Legacy, backup: Path, dsn: str, code: int
) -> None:
    done = legacy(backup, "--dsn", dsn)
    assert done.returncode == code
    assert SECRET not in one_line(done)


def test_the_driver_batches_an_insert_in_its_own_way(
    legacy: Legacy, target: Any, backup: Path
) -> None:
    """SQLAlchemy has psycopg2 send many rows a statement, and psycopg a statement a row."""
    with target.connect() as connection:
        connection.execute(
            "CREATE TABLE statements (rows int);"
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN INSERT INTO statements SELECT count(*) FROM inserted; RETURN NULL; END';"
            "CREATE TRIGGER tell AFTER INSERT ON children REFERENCING NEW TABLE AS inserted"
            " FOR EACH STATEMENT EXECUTE FUNCTION tell()"
        )
    done = legacy(backup, "--dsn", target.dsn)
    assert done.returncode == 0
    with target.connect() as connection:
        rows = connection.execute("SELECT array_agg(rows) FROM statements").fetchone()
    expected = [5] if "--driver=psycopg2" in done.args else [1] * 5
    assert rows == (expected,)


def test_database_that_is_not_there_is_one_line(legacy: Legacy, server: Any, backup: Path) -> None:
    with server.database() as dsn:
        pass
    done = legacy(backup, "--dsn", dsn)
    assert done.returncode == 1
    assert "does not exist" in one_line(done)
