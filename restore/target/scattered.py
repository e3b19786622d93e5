"""Finds tables whose rows are in other relations: Citus's and TimescaleDB's.

A distributed or reference table of Citus has its rows in shards on other servers, a hypertable of
TimescaleDB in chunks. Neither can be addressed with ONLY, and in neither a key or an index can be
dropped and built again as in a table of PostgreSQL's own. So they are loaded in the plain way: keys
and indexes stay in place, and parents are loaded first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

Extension = Literal["citus", "timescaledb"]
# A role that may create an extension is trusted, and so are the extension's catalogs.
_EXTENSIONS = "SELECT extname FROM pg_extension WHERE extname IN ('citus', 'timescaledb')"
_TABLES: dict[Extension, str] = {
    "citus": "SELECT logicalrelid::oid FROM pg_catalog.pg_dist_partition",
    "timescaledb": """
        SELECT c.oid FROM _timescaledb_catalog.hypertable h
        JOIN pg_namespace n ON n.nspname = h.schema_name
        JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
    """,
}
_PLACES: dict[Extension, tuple[str, str]] = {
    "citus": ("Citus", "shards"),
    "timescaledb": ("TimescaleDB", "chunks"),
}


def scattered_tables(conn: psycopg.Connection) -> dict[int, Extension]:
    """Return the tables whose rows are in other relations, by oid, with the extension of each."""
    return {
        oid: name
        for (name,) in conn.execute(_EXTENSIONS).fetchall()
        for (oid,) in conn.execute(_TABLES[name]).fetchall()
    }


def where_rows_are(extension: Extension, tables: Iterable[str]) -> str:
    """Return in words where an extension keeps the rows of tables."""
    name, places = _PLACES[extension]
    return f"{name} keeps the rows of {', '.join(tables)} in {places}"
