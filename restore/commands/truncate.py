"""Empties the tables of a backup: in one statement, or in portions if they are too many.

PostgreSQL truncates a table only together with all that refer to it. So tables that refer to each
other go in one portion. If they are too many for that as well, their foreign keys are dropped
meanwhile, and children are emptied before their parents: then the keys hold at any time, also if
the restore is killed.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import psycopg
from msgspec import Struct
from psycopg import sql

from restore.constraints.drop import drop_foreign_keys
from restore.constraints.recreate import recreate_foreign_keys
from restore.errors import LoadError
from restore.plan.order import cycles_of
from restore.target.catalog import read_tables
from restore.target.locks import lock_error, max_locks
from restore.target.queries import load_query
from restore.target.relations import Relation
from restore.target.sqlstate import describe, retry_transient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from restore.options import Options

_PARTS = load_query("table_locks")
_LINKS = """
    SELECT DISTINCT k.confrelid, k.conrelid FROM pg_constraint k
    WHERE k.contype = 'f' AND k.confrelid = ANY(%(oids)s) AND k.conrelid = ANY(%(oids)s)
"""


class _Part(Struct, frozen=True):
    """A table to empty by itself or with its partitions, and the locks that this takes."""

    relation: Relation
    root: int
    locks: int


def empty(
    conn: psycopg.Connection,
    relations: Iterable[Relation],
    options: Options,
    tell: Callable[[str], None],
) -> None:
    """Empty tables, which include all that refer to them.

    Args:
        conn: a connection that commits each statement.
        relations: the tables.
        options: how many sessions may validate foreign keys.
        tell: receives the name of each stage.

    Raises:
        LoadError: another session holds a lock, or the server refused when some tables were empty:
            the line says how many.
        psycopg.Error: the server refused; nothing is changed.
    """
    most = max_locks(conn)
    parts = _parts(conn, relations, most)
    links = _links(conn, parts)
    groups = list(_groups(parts, links))
    total = sum(map(len, groups))
    emptied = 0

    def truncate(portion: Sequence[_Part]) -> None:
        nonlocal emptied
        if emptied or len(portion) < total:
            tell(f"emptying tables ({emptied:,} of {total:,})")
        try:
            _truncate(conn, portion)
        except (psycopg.Error, LoadError) as error:
            if not emptied:
                raise
            line = f"{describe(error)}; {emptied:,} of {total:,} tables are empty by now"
            raise LoadError(line) from error
        emptied += len(portion)

    small = [group for group in groups if _locks(group) <= most]
    for portion in _portions(small, most):
        truncate(portion)
    large = [part for group in groups if _locks(group) > most for part in group]
    if large:
        _empty_without_keys(conn, large, options, truncate)


def _parts(conn: psycopg.Connection, relations: Iterable[Relation], most: int) -> list[_Part]:
    """Return what to empty by itself: tables, or partitions of a table that has too many."""
    roots = {relation.oid: relation for relation in relations}
    found: dict[int, list[_Part]] = defaultdict(list)
    for root, oid, schema, name, kind, locks in conn.execute(_PARTS, [list(roots)]):
        found[root].append(_Part(Relation(oid, schema, name, kind, visible=False), root, locks))
    parts: list[_Part] = []
    for root, tree in found.items():
        locks = _locks(tree)
        if locks <= most:
            parts.append(_Part(roots[root], root, locks))
        else:
            parts += [part for part in tree if part.relation.kind != "p"]
    return parts


def _links(conn: psycopg.Connection, parts: Iterable[_Part]) -> dict[int, set[int]]:
    """Return for each table those of the others that refer to it."""
    links: dict[int, set[int]] = {part.relation.oid: set() for part in parts}
    for parent, child in conn.execute(_LINKS, {"oids": list(links)}):
        links[parent].add(child)
    return links


def _groups(parts: Iterable[_Part], links: dict[int, set[int]]) -> Iterator[list[_Part]]:
    """Yield groups of tables that refer to each other, children first."""
    both = {oid: set(children) for oid, children in links.items()}
    for parent, children in links.items():
        for child in children:
            both[child].add(parent)
    group, order = cycles_of(both), cycles_of(links)
    groups: dict[int, list[_Part]] = defaultdict(list)
    for part in sorted(parts, key=lambda part: order[part.relation.oid]):
        groups[group[part.relation.oid]].append(part)
    yield from groups.values()


def _locks(parts: Iterable[_Part]) -> int:
    return sum(part.locks for part in parts)


def _portions(groups: Iterable[Sequence[_Part]], most: int) -> Iterator[list[_Part]]:
    portion: list[_Part] = []
    for group in groups:
        if portion and _locks(portion) + _locks(group) > most:
            yield portion
            portion = []
        portion += group
    if portion:
        yield portion


def _truncate(conn: psycopg.Connection, portion: Sequence[_Part]) -> None:
    names = sql.SQL(", ").join(part.relation.sql_only for part in portion)
    statement = sql.SQL("TRUNCATE {}").format(names)

    def truncate() -> None:
        try:
            conn.execute(statement)
        except psycopg.errors.LockNotAvailable as error:
            oids = [part.relation.oid for part in portion]
            raise lock_error(conn, error, oids, "ACCESS EXCLUSIVE") from error

    retry_transient(truncate)


def _empty_without_keys(
    conn: psycopg.Connection,
    parts: Sequence[_Part],
    options: Options,
    truncate: Callable[[Sequence[_Part]], None],
) -> None:
    """Empty tables without their foreign keys; with them, if the role may not drop these."""
    tables = read_tables(conn, {part.root for part in parts})
    keys = [k for table in tables.values() for k in table.foreign_keys if k.parent in tables]
    try:
        try:
            drop_foreign_keys(conn, tables, keys)
        except psycopg.errors.InsufficientPrivilege:
            truncate(parts)
            return
        except psycopg.errors.LockNotAvailable as error:
            raise lock_error(conn, error, tables, "ACCESS EXCLUSIVE") from error
        for portion in _portions([[part] for part in parts], max_locks(conn)):
            truncate(portion)
    finally:
        recreate_foreign_keys(conn, options)
