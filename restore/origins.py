"""Finds the records of a table file that rows came from, by the values of a key.

Most stand in the file as the server writes them: these are found by comparing (``plain``). Where a
file writes them in another way, the server is asked, here.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec
from psycopg import sql

from restore.batch import Batch
from restore.errors import NotTypedError
from restore.read import Reader
from restore.scan import DECODE_ERRORS
from restore.single import fields_of
from restore.values import as_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psycopg

    from restore.batch import RawRecord
    from restore.catalog import Column
    from restore.plan import Load
    from restore.rejects import RejectFile
    from restore.report import TableReport
    from restore.values import Converter

# A key's values, in the order of its columns, as texts that the server wrote.
Values = tuple[str | None, ...]


class Key(Protocol):
    """What tells rows, or what they refer to: a key of any kind, by its columns."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names."""


K = TypeVar("K", bound=Key)


@dataclass(frozen=True, slots=True)
class Kept:
    """What belongs to a table that was loaded: its file, counts, rejects, and how it was read.

    ``native``: in C, where that can be done.
    """

    load: Load
    report: TableReport
    rejects: RejectFile
    converter: Converter
    native: bool = False


_raws = msgspec.json.Decoder(list[msgspec.Raw])


def exact_origins(
    conn: psycopg.Connection,
    table: Kept,
    stores: Mapping[K, sql.Identifier],
    chunk_bytes: int,
) -> Iterator[tuple[RawRecord, K, Values]]:
    """Yield the records whose keys are, to the server, those of rows that were taken out.

    Args:
        conn: a connection to the target.
        table: the table that the rows left.
        stores: where the values of the rows are kept, by key.
        chunk_bytes: how much of the file is read at a time.

    Raises:
        psycopg.Error: the server refused.
    """
    columns = {column.name: column for column in table.load.table.columns}
    with contextlib.closing(table.load.file.open()) as stream:
        for batch in Reader(stream, chunk_bytes, _raws.decode):
            if not isinstance(batch, Batch):
                continue
            loaded = [
                n for n in range(batch.count) if batch.first + n not in table.rejects.ordinals
            ]
            fields = [fields_of(bytes(batch.raws()[n])) for n in loaded]
            found: dict[int, tuple[K, Values]] = {}
            for key, store in stores.items():
                used = [columns[name] for name in key.columns]
                texts = [
                    [literal_of(table.converter, c, f.get(c.name)) for f in fields] for c in used
                ]
                for place, *values in conn.execute(_matching(used, store), texts).fetchall():
                    found.setdefault(loaded[place - 1], (key, tuple(values)))
            for index in sorted(found):
                yield (batch.record(index), *found[index])


def literal_of(converter: Converter, column: Column, raw: msgspec.Raw | None) -> str | None:
    """Return a record's value as the text of a literal; None: it has none that was loaded."""
    if raw is None:
        return None
    data = bytes(raw)
    try:
        with contextlib.suppress(NotTypedError):
            return as_text(converter.typed(column, data))
        return converter.literal(column, data)
    except (ValueError, *DECODE_ERRORS):
        return None


def _matching(columns: list[Column], store: sql.Identifier) -> sql.Composed:
    """Return a query for the places of records, of which texts are given, that are in a store."""
    count = range(len(columns))
    same = [
        sql.SQL("s.{} IS NOT DISTINCT FROM r.{}::{}").format(
            sql.Identifier(f"v{n}"),
            sql.Identifier(f"t{n}"),
            sql.Identifier(column.type.schema, column.type.name),
        )
        for n, column in enumerate(columns)
    ]
    return sql.SQL(
        "SELECT DISTINCT r.place, {} FROM ROWS FROM ({}) WITH ORDINALITY AS r ({}, place)"
        " JOIN {} AS s ON {}"
    ).format(
        as_texts(len(columns)),
        sql.SQL(", ").join(sql.SQL("unnest(%s::text[])") for _ in count),
        sql.SQL(", ").join(sql.Identifier(f"t{n}") for n in count),
        store,
        sql.SQL(" AND ").join(same),
    )


def as_texts(count: int) -> sql.Composed:
    """Return the columns of a store that hold a key's values, as texts."""
    return sql.SQL(", ").join(
        sql.SQL("{}::text").format(sql.Identifier(f"v{n}")) for n in range(count)
    )
