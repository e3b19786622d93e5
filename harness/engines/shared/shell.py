"""What scripts of SQL and of the shell need as text."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def quoted(name: str) -> str:
    """Quote a name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text."""
    return "'" + text.replace("'", "''") + "'"


def lines_command(file: Path) -> str:
    """Return the pipeline that writes each record of a file, an array, on a line of its own."""
    name = shlex.quote(str(file))
    return f"gzip -dc {name} | jq -c '.[]'" if file.suffix == ".gz" else f"jq -c '.[]' {name}"
