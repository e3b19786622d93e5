"""How the harness was called, for what to type next."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPT = "db-restore-benchmark"


def program() -> str:
    """Return the command that was called: the script, or the module."""
    return SCRIPT if Path(sys.argv[0]).stem == SCRIPT else "python -m harness"
