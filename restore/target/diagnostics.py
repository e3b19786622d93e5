"""Finds side effects of a load: stale materialized views, forced checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from restore.target.queries import load_query

if TYPE_CHECKING:
    from collections.abc import Iterable

_STALE = load_query("stale_views")

_CHECKPOINTS = "SELECT num_requested FROM pg_stat_checkpointer"
_CHECKPOINTS_BEFORE_17 = "SELECT checkpoints_req FROM pg_stat_bgwriter"
_VERSION_17 = 170_000
# One may be anybody's: a CREATE DATABASE, a backup that begins.
_FEWEST_CHECKPOINTS = 2


def stale_views(conn: psycopg.Connection, oids: Iterable[int]) -> list[str]:
    """Return the materialized views that read these tables, in the order to refresh them.

    Returns:
        Their qualified names, quoted for SQL.
    """
    return [name for (name,) in conn.execute(_STALE, {"oids": list(oids)}).fetchall()]


def forced_checkpoints(conn: psycopg.Connection) -> int | None:
    """Return how many checkpoints were forced on the server so far; None: not visible."""
    later = conn.info.server_version >= _VERSION_17
    try:
        row = conn.execute(_CHECKPOINTS if later else _CHECKPOINTS_BEFORE_17).fetchone()
    except psycopg.Error:
        return None
    return int(row[0]) if row else None


def checkpoint_warning(conn: psycopg.Connection, before: int | None) -> str | None:
    """Return a warning if checkpoints were forced since ``before`` was read.

    Raises:
        psycopg.Error: the server refused.
    """
    after = forced_checkpoints(conn)
    if before is None or after is None or after - before < _FEWEST_CHECKPOINTS:
        return None
    row = conn.execute("SELECT current_setting('max_wal_size')").fetchone()
    size = row[0] if row else "?"
    return (
        f"the load forced {after - before} checkpoints, which slow it down: max_wal_size is {size};"
        " raise it for such loads (ALTER SYSTEM SET max_wal_size = ...)"
    )
