"""Queries of the system catalogs, a ``.sql`` file each, with psycopg's placeholders."""

from __future__ import annotations

from pathlib import Path


def load_query(name: str) -> str:
    """Return the text of a query."""
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
