"""Published files and a generated backup: all is restored, and each value is read back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from restore.tests.infer.readback import check_same, loads
from restore.tests.support import command

PUBLISHED = sorted((Path(__file__).parent / "published").glob("*.json"))
CHECKOUT = Path(__file__).parents[3]


def create(path: Path, database: Any, folder: Path) -> None:
    words = ("--dsn", database.dsn, "--create", "--rejects", str(folder / "rejects"))
    done = command.run(str(path), *words, "--progress", "none")
    assert done.exit_code == 0, done.output + done.errors


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_published_file(path: Path, database: Any, tmp_path: Path) -> None:
    create(path, database, tmp_path)
    check_same(database.connect(), path.stem, loads(path.read_bytes()))


@pytest.mark.slow
def test_a_generated_backup(database: Any, tmp_path: Path) -> None:
    words = ["generate", "--rows", "5000", "--out", str(tmp_path), "--processes", "1"]
    subprocess.run([sys.executable, "-m", "harness", *words], cwd=CHECKOUT, check=True)
    create(tmp_path, database, tmp_path)
    conn = database.connect()
    files = [path for path in tmp_path.glob("*/*.json") if path.name != "manifest.json"]
    assert len(files) == 9
    for path in files:
        check_same(conn, path.stem, loads(path.read_bytes()))
    keys = conn.execute(
        "SELECT contype::text, count(*) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND contype <> 'n' GROUP BY 1"
    )
    # Those of its schema, and AuditEvent.entityId, which its schema cannot have: of any table.
    assert dict(keys.fetchall()) == {"p": 9, "f": 12}
