"""The version of this project."""

from __future__ import annotations

import tomllib
from pathlib import Path

_PROJECT = "restorebench"


def version() -> str:
    """Return the version, from the checkout's pyproject.toml or else what is installed."""
    checkout = Path(__file__).parents[1] / "pyproject.toml"
    if checkout.is_file():
        project = tomllib.loads(checkout.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == _PROJECT:
            return str(project["version"])
    from importlib import metadata  # noqa: PLC0415 - it takes longer than all of --version

    return metadata.version(_PROJECT)
