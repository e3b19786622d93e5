"""What a database is beside its rows: ``pg_dump`` says it, and we compare."""

from __future__ import annotations

import difflib
import subprocess
from typing import TYPE_CHECKING

from harness.servers import ServerError

if TYPE_CHECKING:
    from pathlib import Path

# What a restore keeps while it runs; that it is gone is checked for itself.
JOURNAL = "restore_journal"
_TIMEOUT_S = 120.0
_LINES_NAMED = 6


def dump(pg_dump: Path, dsn: str) -> list[str]:
    """Return the lines of a database's schema, owners and rights included.

    Raises:
        ServerError: it cannot be had.
    """
    command = [str(pg_dump), "--schema-only", f"--exclude-schema={JOURNAL}", f"--dbname={dsn}"]
    done = subprocess.run(  # noqa: S603 - the server's own program
        command, check=False, capture_output=True, text=True, timeout=_TIMEOUT_S
    )
    if done.returncode:
        problem = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise ServerError(f"pg_dump failed ({problem})", "see that it is the server's version")
    # Since 2025 a dump bears a random word, against what a hostile server could slip in.
    return [
        line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unr"))
    ]


def differences(before: list[str], after: list[str]) -> tuple[int, str]:
    """Return how many lines are gone or new, and the first of them."""
    changed = [
        line.strip()
        for line in difflib.unified_diff(before, after, n=0, lineterm="")
        if line[:1] in "+-" and line[:3] not in ("+++", "---") and line[1:].strip()
    ]
    return len(changed), " | ".join(changed[:_LINES_NAMED])
