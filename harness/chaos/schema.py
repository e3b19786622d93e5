"""Compares the schemas of databases, as dumped by ``pg_dump``."""

from __future__ import annotations

import difflib
import subprocess
from typing import TYPE_CHECKING

from harness.servers import ServerError

if TYPE_CHECKING:
    from pathlib import Path

# The restorer's own schema; that it is dropped is checked separately.
JOURNAL = "restore_journal"
_TIMEOUT_S = 120.0
_LINES_NAMED = 6


def dump(pg_dump: Path, dsn: str) -> list[str]:
    """Return the lines of a database's schema, with owners and privileges.

    Raises:
        ServerError: ``pg_dump`` fails.
    """
    command = [str(pg_dump), "--schema-only", f"--exclude-schema={JOURNAL}", f"--dbname={dsn}"]
    done = subprocess.run(  # noqa: S603 - the server's own program
        command, check=False, capture_output=True, text=True, timeout=_TIMEOUT_S
    )
    if done.returncode:
        problem = (done.stderr.strip() or "no output").splitlines()[-1]
        raise ServerError(f"pg_dump failed ({problem})", "install the server's version of it")
    # Since 2025 a dump contains a random key, against injection by a hostile server.
    return [
        line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unr"))
    ]


def differences(before: list[str], after: list[str]) -> tuple[int, str]:
    """Return the number of removed and added lines, and the first of them."""
    changed = [
        line.strip()
        for line in difflib.unified_diff(before, after, n=0, lineterm="")
        if line[:1] in "+-" and line[:3] not in ("+++", "---") and line[1:].strip()
    ]
    return len(changed), " | ".join(changed[:_LINES_NAMED])
