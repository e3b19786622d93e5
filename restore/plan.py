"""In what order tables are loaded, and which foreign keys cannot hold meanwhile."""

from __future__ import annotations

import graphlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from restore.backup import TableFile
    from restore.catalog import ForeignKey, Table
    from restore.writes import Writes


@dataclass(frozen=True, slots=True)
class Load:
    """One table file and the table that takes it.

    ``journaled``: the journal notes how far its load is. ``writes``: takes note of the
    transactions that write its rows; None: nothing asks for them. ``fixed``: its rows may not be
    deleted again, so its keys and indexes stay in place.
    """

    file: TableFile
    table: Table
    journaled: bool = False
    writes: Writes | None = None
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is loaded, parents first.

    ``keys`` are all foreign keys among the tables. Of them ``cyclic`` cannot hold while the tables
    are loaded one after the other: those in a cycle or of a table to itself, and those to tables
    from which such keys may take rows out again. ``outside`` are tables that are not loaded and
    that ``keys`` refer to: of a dry run alone, whose tables have no foreign keys of their own.
    ``fixed`` are the tables whose rows may not be deleted again, and those that they refer to.
    """

    loads: tuple[Load, ...]
    keys: tuple[ForeignKey, ...]
    cyclic: tuple[ForeignKey, ...]
    outside: tuple[Table, ...] = ()
    fixed: frozenset[int] = frozenset()

    @property
    def tables(self) -> dict[int, Table]:
        """The tables that are loaded, by oid."""
        return {load.table.oid: load.table for load in self.loads}


def make_plan(
    files: dict[int, TableFile], tables: dict[int, Table], *, fixed: Iterable[int] = ()
) -> Plan:
    """Order the tables so that what is referred to comes first, as far as cycles allow.

    Args:
        files: the file of each table, by oid.
        tables: the tables, by oid.
        fixed: those whose rows may not be deleted again.
    """
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
    # A row that others refer to by a key that holds cannot be deleted either.
    held = frozenset(fixed).union(*(reached[oid] for oid in fixed))
    loads = tuple(Load(files[oid], tables[oid], fixed=oid in held) for oid in sorter.static_order())
    return Plan(loads, tuple(keys), tuple(cyclic), fixed=held)


def _reach(start: int, parents: dict[int, set[int]]) -> set[int]:
    """Return all tables that can be reached from ``start`` over foreign keys."""
    reached: set[int] = set()
    waiting = [start]
    while waiting:
        for parent in parents[waiting.pop()] - reached:
            reached.add(parent)
            waiting.append(parent)
    return reached
