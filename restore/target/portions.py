"""Portions of work on many tables, since a transaction keeps each lock that it takes to its end.

All sessions of a server share room for max_locks_per_transaction times max_connections locks: 6,400
where nothing is set. A table takes one, and each of its indexes and partitions another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

T = TypeVar("T")

# A foreign key locks two tables and an index.
_MOST_TABLES = 200
_ROOM = """
    SELECT current_setting('max_locks_per_transaction')::int8 * (
        current_setting('max_connections')::int8
        + current_setting('max_prepared_transactions')::int8)
"""
# Other sessions need room, too.
_SHARE = 4


def portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield what is to be done in one transaction each, of one table or two for each item."""
    for start in range(0, len(items), _MOST_TABLES):
        yield items[start : start + _MOST_TABLES]


def most_locks(conn: psycopg.Connection) -> int:
    """Return how many locks a transaction of ours may take."""
    [(room,)] = conn.execute(_ROOM).fetchall()
    return int(room) // _SHARE
