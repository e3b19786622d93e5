"""Every command of the documentation runs, in the order of its page.

A block of code names its language. What is ``sh`` is typed at a desk (``desk.py``), and what is
``python`` is run there; nothing else may hold a command.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import shutil
from typing import TYPE_CHECKING

import pytest

from harness.cli.app import parsed
from harness.generate import generate
from harness.generate.spec import DatasetSpec
from harness.tests.ci.workflows import sessions
from harness.tests.docs.desk import Desk
from harness.tests.docs.pages import PAGES, Block, blocks, inline_code, name
from restore.cli.arguments import parse
from restore.tests.support.object_store import CREDENTIALS, Bucket, moto_server, require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Database

COMMAND = re.compile(
    r"(?:\$ )?(?:db-restore[a-z-]*|python|nox|psql|createdb|git|docker|pip|curl)(?: |$)"
)
HARNESS = re.compile(r"(?:python -m harness|db-restore-benchmark) ([a-z][a-z-]+ .+)")
SESSION = re.compile(r"nox -s ([a-z-]+).*")
RESTORER = re.compile(r"(?:python -m restore|db-restore-optimized) (.+)")
PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]+\b|\[|\.\.\.|…")

TYPED = {"sh", "python"}
# Pages that begin without the tables of the backup.
WITHOUT_TABLES = {"docs/quick-start.md", "docs/restore.md"}
RUNNABLE = [path for path in PAGES if any(b.language in TYPED for b in blocks(path))]


@pytest.fixture
def desk(tmp_path: Path, database: Database, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A desk with what the pages take for granted: a backup, its tables, rejects of it."""
    laid = Desk(tmp_path / "desk", database)
    laid.lay()
    folder = generate(DatasetSpec(rows=300), laid.folder / "backups", processes=1)
    (laid.folder / "path/to").mkdir(parents=True)
    truth = shutil.ignore_patterns("manifest.json", "schema.sql", "rows.sha256")
    shutil.copytree(folder, laid.folder / "path/to/backup", ignore=truth)
    shutil.copy(folder / "schema.sql", laid.folder)
    if name(request.node.callspec.params["path"]) not in WITHOUT_TABLES:
        with database.connect() as connection:
            connection.execute((folder / "schema.sql").read_bytes())
    write_rejects(laid.folder / "rejects/shop")
    script = laid.folder / "restore.sh"
    script.write_text('#!/bin/sh\nexec db-restore-optimized "$1" --dsn "$2"\n')
    script.chmod(0o755)
    yield laid
    with database.server.connect() as connection:
        for made in ("shop", "shop2"):
            connection.execute(f"DROP DATABASE IF EXISTS {made} WITH (FORCE)")


def write_rejects(folder: Path) -> None:
    """Write a reject that has been repaired: a category that no file has."""
    record = {"id": 1_000_000, "name": "Mended", "slug": "mended", "position": 0}
    line = {"table": "categories", "schema": "public", "raw": json.dumps(record)}
    folder.mkdir(parents=True)
    (folder / "categories.jsonl").write_text(f"{json.dumps(line)}\n", encoding="utf-8")


@pytest.fixture
def store(
    desk: Desk, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The bucket of a page of remote backups, with the desk's backup, on a real S3 server."""
    if name(request.node.callspec.params["path"]) != "docs/remote.md":
        yield
        return
    require("s3fs", "moto", "boto3")
    with moto_server() as url:
        for variable, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": url}.items():
            monkeypatch.setenv(variable, value)
        with contextlib.closing(Bucket("backups", None, url)) as bucket:
            for file in (desk.folder / "path/to/backup").iterdir():
                bucket.put(f"nightly/20250101_000000/{file.name}", file.read_bytes())
            yield
            assert bucket.get("reports/monday.json")


@pytest.mark.slow
@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("path", RUNNABLE, ids=name)
def test_commands_run_as_typed(path: Path, desk: Desk) -> None:
    typed = [script(block) for block in blocks(path) if block.language in TYPED]
    made = desk.type("\n".join(typed))
    assert made.returncode == 0, made.stdout[-5_000:]


def script(block: Block) -> str:
    """Return a block as a shell runs it."""
    if block.language == "python":
        return f"python - <<'END'\n{block.text}END\n"
    return block.text


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_a_block_names_its_language(path: Path) -> None:
    known = {"sh", "text", "json", "toml", "python", "sql", "mermaid"}
    assert [block for block in blocks(path) if block.language not in known] == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_no_command_hides_in_other_blocks(path: Path) -> None:
    others = [block for block in blocks(path) if block.language not in TYPED]
    hidden = [
        line
        for block in others
        for line in block.text.splitlines()
        if COMMAND.match(line) and not PLACEHOLDER.search(line)
    ]
    assert hidden == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_commands_within_sentences_are_understood(path: Path) -> None:
    """Those are not typed in the order of the page, but have to be valid."""
    for line in filter(COMMAND.match, inline_code(path)):
        if PLACEHOLDER.search(line):
            continue
        if found := HARNESS.fullmatch(line):
            words = shlex.split(found[1])
            parsed(words)
        elif (found := RESTORER.fullmatch(line)) and " " in found[1]:
            parse(shlex.split(found[1]))
        elif found := SESSION.fullmatch(line):
            assert found[1] in sessions()
