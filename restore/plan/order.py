"""Orders tables so that parents load first, and finds foreign keys that cannot hold meanwhile."""

from __future__ import annotations

import enum
import graphlib
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from restore.decode.policies import NO_POLICIES, ValuePolicies
from restore.source.formats.format import TableColumns
from restore.target.own_rows import JOURNALED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from restore.options import Options
    from restore.remote.path import BackupPath
    from restore.source.archive import Member
    from restore.source.discovery import TableFile
    from restore.target.catalog import Column, ForeignKey, Table
    from restore.target.own_rows import WriteLog

_SQL_NAMES = {"int2": "smallint", "int4": "integer", "int8": "bigint"}


class LoadMode(enum.Enum):
    """What a restore writes to, and in how many transactions."""

    COMMITTED = "the target, as it goes"
    ATOMIC = "the target, in one transaction"
    DRY_RUN = "shadow tables"

    @classmethod
    def of(cls, options: Options) -> LoadMode:
        """Return the mode that options choose."""
        return cls.DRY_RUN if options.dry_run else cls.ATOMIC if options.atomic else cls.COMMITTED

    @property
    def writes_target(self) -> bool:
        """Tell if the target's tables are written."""
        return self is not LoadMode.DRY_RUN

    @property
    def is_atomic(self) -> bool:
        """Tell if one transaction does everything; what it alters is locked until its end."""
        return self is LoadMode.ATOMIC

    @property
    def may_alter(self) -> bool:
        """Tell if keys and indexes may be dropped for the load, and progress be journaled."""
        return self is LoadMode.COMMITTED


class Load(Struct, frozen=True):
    """A table file and the table to load it into.

    ``journaled``: the journal records its progress. ``writes``: records the transactions that write
    its rows; None: they are not needed. ``fixed``: its rows may not be deleted again, so its keys
    and indexes stay in place. ``policies``: how its values are read.
    """

    file: TableFile
    table: Table
    journaled: bool = False
    writes: WriteLog | None = None
    fixed: bool = False
    policies: ValuePolicies = NO_POLICIES


class Plan(Struct, frozen=True):
    """What to load, parents first.

    Args:
        loads: the files and their tables.
        keys: all foreign keys among the tables.
        deferred_keys: those of them that cannot hold during the load: keys in a cycle, keys of a
            table to itself, and keys to tables from which such keys may delete rows again.
        external_parents: tables that are not loaded and that ``keys`` refer to; only in a dry run,
            whose tables have no foreign keys of their own.
        fixed: tables whose rows may not be deleted again, and the tables that they refer to.
        mode: what is written to, and in how many transactions.
    """

    loads: tuple[Load, ...]
    keys: tuple[ForeignKey, ...]
    deferred_keys: tuple[ForeignKey, ...]
    external_parents: tuple[Table, ...] = ()
    fixed: frozenset[int] = frozenset()
    mode: LoadMode = LoadMode.COMMITTED

    @property
    def tables(self) -> dict[int, Table]:
        """The tables that are loaded, by oid."""
        return {load.table.oid: load.table for load in self.loads}


def make_plan(
    files: dict[int, TableFile],
    tables: dict[int, Table],
    *,
    fixed: Iterable[int] = (),
    mode: LoadMode = LoadMode.COMMITTED,
) -> Plan:
    """Order the tables so that parents come first, as far as cycles allow.

    Args:
        files: the file of each table, by oid.
        tables: the tables, by oid.
        fixed: those whose rows may not be deleted again.
        mode: what is written to, and in how many transactions.
    """
    keys = [key for table in tables.values() for key in table.foreign_keys if key.parent in tables]
    parents: dict[int, set[int]] = {oid: set() for oid in tables}
    for key in keys:
        parents[key.table].add(key.parent)
    cycles = cycles_of(parents)
    in_cycle = [key for key in keys if cycles[key.table] == cycles[key.parent]]
    children: dict[int, set[int]] = {oid: set() for oid in tables}
    for key in keys:
        children[key.parent].add(key.table)
    at_risk = _reachable((key.table for key in in_cycle), children)
    sorter = graphlib.TopologicalSorter(
        {
            oid: sorted(parent for parent in parents[oid] if cycles[parent] != cycles[oid])
            for oid in sorted(tables)
        }
    )
    risky = (k for k in keys if k.parent in at_risk and cycles[k.table] != cycles[k.parent])
    # A row that others refer to by a key that holds cannot be deleted either.
    held = frozenset(_reachable(fixed, parents))
    loads = tuple(Load(files[oid], tables[oid], fixed=oid in held) for oid in sorter.static_order())
    return Plan(loads, tuple(keys), (*in_cycle, *risky), fixed=held, mode=mode)


def with_target_columns(
    files: Mapping[int, TableFile], tables: Mapping[int, Table]
) -> dict[int, TableFile]:
    """Return the files with the columns of their tables, which some formats of exports need."""
    columns = {oid: tuple(column.name for column in table.columns) for oid, table in tables.items()}
    types = {oid: tuple(_type_name(column) for column in t.columns) for oid, t in tables.items()}
    keys = {
        oid: next((key.columns for key in table.unique_keys if key.primary), ())
        for oid, table in tables.items()
    }
    named = {
        (file.path, file.member, file.translation.table or file.table): TableColumns(
            columns[oid], keys[oid], types[oid]
        )
        for oid, file in files.items()
        if file.translation is not None
    }
    told = dict(files)
    for oid, file in files.items():
        if file.translation is None:
            continue
        known = {
            name: each
            for (path, member, name), each in named.items()
            if (path, member) == (file.path, file.member)
        }
        told[oid] = replace(file, translation=file.translation._replace(tables=known))
    return _read_to_end(told)


def _read_to_end(files: dict[int, TableFile]) -> dict[int, TableFile]:
    """Return the files so that each export is read to its end, whichever of its tables are."""
    last: dict[tuple[BackupPath, Member | None], tuple[float, int]] = {}
    for oid, file in files.items():
        if file.translation is not None:
            ends = float("inf") if file.translation.last is None else file.translation.last
            place = file.path, file.member
            last[place] = max(last.get(place, (-1, oid)), (ends, oid))
    for _, oid in last.values():
        translation = files[oid].translation
        if translation is not None:
            files[oid] = replace(files[oid], translation=translation._replace(last=None))
    return files


def _type_name(column: Column) -> str:
    """Return a type's name in SQL, where that differs from the one in the catalog."""
    name = column.type.name
    return _SQL_NAMES.get(name, name)


def cycles_of(links: Mapping[int, Collection[int]]) -> dict[int, int]:
    """Number the cycles of a directed graph: nodes that reach each other share a number.

    Tarjan's algorithm ("Depth-first search and linear graph algorithms", 1972), without recursion.
    A node is numbered after all that it reaches.

    Args:
        links: for each node, those that it leads to, all of which are nodes.
    """
    found: dict[int, int] = {}
    lowest: dict[int, int] = {}
    cycles: dict[int, int] = {}
    open_nodes: list[int] = []
    for start in links:
        path = [] if start in found else [(start, iter(links[start]))]
        while path:
            node, others = path[-1]
            if node not in found:
                found[node] = lowest[node] = len(found)
                open_nodes.append(node)
            for other in others:
                if other not in found:
                    path.append((other, iter(links[other])))
                    break
                if other not in cycles:
                    lowest[node] = min(lowest[node], found[other])
            else:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[node])
                if lowest[node] == found[node]:
                    number = len(cycles)
                    while node not in cycles:
                        cycles[open_nodes.pop()] = number
    return cycles


def _reachable(starts: Iterable[int], links: Mapping[int, Collection[int]]) -> set[int]:
    """Return these nodes, and all that are reachable from them."""
    waiting = list(starts)
    reached = set(waiting)
    while waiting:
        for node in set(links[waiting.pop()]) - reached:
            reached.add(node)
            waiting.append(node)
    return reached


def with_write_log(plan: Plan, writes: WriteLog | None) -> Plan:
    """Return a plan whose loads record the transactions that write their rows."""
    journaled = writes == JOURNALED
    loads = tuple(replace(load, journaled=journaled, writes=writes) for load in plan.loads)
    return replace(plan, loads=loads)


def with_policies(plan: Plan, policies: Mapping[int, ValuePolicies]) -> Plan:
    """Return a plan whose loads read values by these policies, given by the table's oid."""
    loads = tuple(replace(load, policies=policies[load.table.oid]) for load in plan.loads)
    return replace(plan, loads=loads)
