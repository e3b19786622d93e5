"""Finds the records of a table file that rows came from, by the values of a foreign key.

Most keys are numbers, UUIDs or texts that stand in the file as the server writes them: these are
found by comparing. Where a file writes them in another way, the server is asked.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

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
    from restore.catalog import Column, ForeignKey
    from restore.plan import Load
    from restore.rejects import RejectFile
    from restore.report import TableReport
    from restore.values import Converter

# A key's values, in the order of its columns, as texts that the server wrote.
Values = tuple[str | None, ...]
# How many rows with these values were taken out and are not found yet.
Missing = dict["ForeignKey", dict[Values, int]]
# A record, and the key and its values for which it is no row any more.
Origin = tuple["RawRecord", "ForeignKey", Values]

_PLAIN = {"int2": int, "int4": int, "int8": int, "uuid": str, "text": str, "varchar": str}

_raws = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Kept:
    """What belongs to a table that was loaded: its file, counts, rejects, and how it was read."""

    load: Load
    report: TableReport
    rejects: RejectFile
    converter: Converter


def plain_origins(table: Kept, missing: Missing, chunk_bytes: int) -> Iterator[Origin]:
    """Yield the records whose keys stand in the file as the server writes them.

    Args:
        table: the table that the rows left.
        missing: the values to look for.
        chunk_bytes: how much of the file is read at a time.
    """
    finder = _Finder(table, missing)
    if not finder.wanted:
        return
    with contextlib.closing(table.load.file.open()) as stream:
        for batch in Reader(stream, chunk_bytes, finder.decode):
            if isinstance(batch, Batch) and batch.rows is not None:
                for index, key, values in finder.find(batch.rows):
                    record = batch.record(index)
                    if record.ordinal not in table.rejects.ordinals:
                        yield record, key, values


class _Finder:
    """Finds forbidden values among records of which only the keys are decoded."""

    def __init__(self, table: Kept, missing: Missing) -> None:
        columns = {c.name: c for c in table.load.table.columns if c.type.name in _PLAIN}
        keys = [key for key in missing if columns.keys() >= set(key.columns)]
        names = sorted({name for key in keys for name in key.columns})
        keys = [] if any('"' in name or "\\" in name for name in names) else keys
        fields = {name: f"f{n}" for n, name in enumerate(names)}
        kinds = {name: _PLAIN[columns[name].type.name] for name in names}
        struct = msgspec.defstruct(
            "Keys",
            [(fields[name], kinds[name] | None, None) for name in names],
            rename={field: name for name, field in fields.items()},
            gc=False,
        )
        self.decode = msgspec.json.Decoder(list[struct]).decode  # type: ignore[valid-type]
        # By key: how to take its values out of a row, and what they are on the server.
        self.wanted: dict[ForeignKey, tuple[attrgetter[Any], dict[Any, Values]]] = {}
        for key in keys:
            known = {_as_decoded(values, key, kinds): values for values in missing[key]}
            self.wanted[key] = attrgetter(*(fields[name] for name in key.columns)), known

    def find(self, rows: Any) -> Iterator[tuple[int, ForeignKey, Values]]:  # noqa: ANN401 - Structs made above
        """Yield the places of records with a forbidden value, each once."""
        found: set[int] = set()
        for key, (getter, known) in self.wanted.items():
            if known.keys().isdisjoint(map(getter, rows)):
                continue
            for index, value in enumerate(map(getter, rows)):
                if value in known and index not in found:
                    found.add(index)
                    yield index, key, known[value]


def _as_decoded(values: Values, key: ForeignKey, kinds: Mapping[str, type]) -> Any:  # noqa: ANN401 - a value or several
    """Return a key's values as an attrgetter gives them: one alone is no tuple."""
    made = tuple(
        None if value is None else kinds[name](value)
        for name, value in zip(key.columns, values, strict=True)
    )
    return made[0] if len(made) == 1 else made


def exact_origins(
    conn: psycopg.Connection,
    table: Kept,
    stores: dict[ForeignKey, sql.Identifier],
    chunk_bytes: int,
) -> Iterator[Origin]:
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
            found: dict[int, tuple[ForeignKey, Values]] = {}
            for key, store in stores.items():
                used = [columns[name] for name in key.columns]
                texts = [[_text(table.converter, c, f.get(c.name)) for f in fields] for c in used]
                for place, *values in conn.execute(_matching(used, store), texts).fetchall():
                    found.setdefault(loaded[place - 1], (key, tuple(values)))
            for index in sorted(found):
                yield (batch.record(index), *found[index])


def _text(converter: Converter, column: Column, raw: msgspec.Raw | None) -> str | None:
    """Return a record's value as the text of a literal; None: it has none that was loaded."""
    if raw is None:
        return None
    data = bytes(raw)
    try:
        return as_text(converter.typed(column, data))
    except NotTypedError:
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
