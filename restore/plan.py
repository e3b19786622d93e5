"""Which file goes into which table, and in what order."""

from __future__ import annotations

import graphlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restore.errors import SchemaError

if TYPE_CHECKING:
    from restore.backup import Backup, TableFile
    from restore.catalog import ForeignKey, Table

# Tables in which migration tools keep their books. They describe the target itself, which has its
# own; a backup's copy is left out where the target has none, or has filled it already.
BOOKKEEPING = frozenset(
    {
        "_prisma_migrations",
        "alembic_version",
        "django_migrations",
        "flyway_schema_history",
        "knex_migrations",
        "knex_migrations_lock",
        "schema_migrations",
    }
)


@dataclass(frozen=True, slots=True)
class Load:
    """One table file and the table that takes it."""

    file: TableFile
    table: Table


@dataclass(frozen=True, slots=True)
class Plan:
    """What is loaded, parents first, and what was left out, with the reason.

    ``keys`` are all foreign keys among the tables. Of them ``cyclic`` cannot hold while the tables
    are loaded one after the other: those in a cycle or of a table to itself, and those to tables
    from which such keys may take rows out again.
    """

    loads: tuple[Load, ...]
    keys: tuple[ForeignKey, ...]
    cyclic: tuple[ForeignKey, ...]
    left_out: tuple[str, ...]


def match_files(
    backup: Backup, names: dict[str, int], exclude: frozenset[str]
) -> tuple[dict[int, TableFile], list[str]]:
    """Say which table each file is for.

    Args:
        backup: what was found.
        names: the target's tables by name.
        exclude: tables whose files are left out.

    Returns:
        The files by the oid of their table, and a line for each file that is left out.

    Raises:
        SchemaError: a file is for no table, or two are for the same.
    """
    lowered = {name.lower(): oid for name, oid in names.items()}
    matched: dict[int, TableFile] = {}
    left_out, missing = [], []
    for file in backup.files:
        if file.table in exclude:
            left_out.append(f"{file.path.name}: excluded")
            continue
        oid = names.get(file.table, lowered.get(file.table.lower()))
        if oid is None and file.table in BOOKKEEPING:
            left_out.append(f"{file.path.name}: a migration tool's own table, not in the database")
        elif file.start().startswith(b"{") and oid is None:
            left_out.append(f"{file.path.name}: holds one object and no list of records")
        elif oid is None:
            missing.append(file.table)
        elif oid in matched:
            raise SchemaError(
                f"{file.path.name} and {matched[oid].path.name} are both for table {file.table}:"
                " leave one out with --exclude"
            )
        else:
            matched[oid] = file
    if missing:
        raise SchemaError(_missing(missing))
    return matched, left_out


def _missing(tables: list[str]) -> str:
    names = ", ".join(tables)
    excludes = " ".join(f"--exclude {table}" for table in tables)
    return (
        f"no table in the database for {names}: create the schema first, say where it is with"
        f" --schema, or leave the file out with {excludes}"
    )


def make_plan(files: dict[int, TableFile], tables: dict[int, Table], left_out: list[str]) -> Plan:
    """Order the tables so that what is referred to comes first, as far as cycles allow."""
    keys = [key for table in tables.values() for key in table.foreign_keys if key.parent in tables]
    parents: dict[int, set[int]] = {oid: set() for oid in tables}
    for key in keys:
        parents[key.table].add(key.parent)
    reached = {oid: _reach(oid, parents) for oid in tables}
    cyclic = [key for key in keys if key.table in reached[key.parent] | {key.parent}]
    broken = {(key.table, key.parent) for key in cyclic}
    sorter = graphlib.TopologicalSorter(
        {
            oid: sorted(parent for parent in parents[oid] if (oid, parent) not in broken)
            for oid in sorted(tables)
        }
    )
    at_risk = {key.table for key in cyclic}
    while more := [k for k in keys if k.parent in at_risk and k not in cyclic]:
        cyclic += more
        at_risk |= {key.table for key in more}
    loads = tuple(Load(files[oid], tables[oid]) for oid in sorter.static_order())
    return Plan(loads, tuple(keys), tuple(cyclic), tuple(left_out))


def _reach(start: int, parents: dict[int, set[int]]) -> set[int]:
    """Return all tables that can be reached from ``start`` over foreign keys."""
    reached: set[int] = set()
    waiting = [start]
    while waiting:
        for parent in parents[waiting.pop()] - reached:
            reached.add(parent)
            waiting.append(parent)
    return reached
