"""The name under which the harness was called, for help texts and messages."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPT = "db-restore-benchmark"


def program() -> str:
    """Return the command: the installed script, or the module."""
    return SCRIPT if Path(sys.argv[0]).stem == SCRIPT else "python -m harness"
