"""What a table's indexes and unique keys are, and what it takes to make each of them again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UniqueAside:
    """What a unique index forbids, for as long as it is aside.

    Attributes:
        name: the index's, and its constraint's where it has one.
        columns: its key columns, which are compared with ``=``; None where it has expressions, or
            compares in another way (an operator class or a collation that is not the column's).
        terms: the same, as SQL over the table's columns, quoted; expressions too. None where it
            compares in another way than with ``=``.
        predicate: SQL; only rows for which it is true are compared. None: all rows.
        nulls_not_distinct: NULL is like NULL; else a row with a NULL in its key is like no other.
    """

    name: str
    columns: tuple[str, ...] | None
    terms: tuple[str, ...] | None
    predicate: str | None = None
    nulls_not_distinct: bool = False
