"""Finds the records of a table file that rows came from, by the values of a key.

Most keys are numbers, UUIDs or texts that stand in the file as the server writes them: these are
found by comparing. Where a file writes them in another way, the server is asked.
"""

from __future__ import annotations

import contextlib
import decimal
from dataclasses import dataclass
from itertools import islice, product
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import msgspec
from psycopg import sql

from restore.batch import Batch
from restore.errors import NotTypedError
from restore.read import Reader
from restore.scan import DECODE_ERRORS
from restore.single import fields_of
from restore.values import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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
    """What belongs to a table that was loaded: its file, counts, rejects, and how it was read."""

    load: Load
    report: TableReport
    rejects: RejectFile
    converter: Converter


@dataclass(frozen=True, slots=True)
class _Plain:
    """A type whose values stand in most files as the server writes them.

    A file may write each of them as any of ``forms``, of the server's text; ``annotation`` decodes
    them all.
    """

    annotation: Any
    forms: tuple[Callable[[str], Any], ...]


_INTEGER = _Plain(int | str | None, (int, str))  # too long for JavaScript, it is often a string
_TEXT = _Plain(str | None, (str,))
_PLAIN = {
    **dict.fromkeys(("int2", "int4", "int8"), _INTEGER),
    **dict.fromkeys(("citext", "text", "varchar"), _TEXT),
    "numeric": _Plain(decimal.Decimal | None, (decimal.Decimal, str)),
    "uuid": _Plain(str | None, (str, str.upper)),
}
# A key of several columns may be written in any mixture of their forms: so many are looked for.
_MOST_FORMS = 8

_raws = msgspec.json.Decoder(list[msgspec.Raw])


def is_plain(table: Kept, key: Key) -> bool:
    """Tell whether ``plain_origins`` finds records by a key."""
    columns = {c.name: c for c in table.load.table.columns if not c.generated}
    return all(name in columns and _plain(columns[name]) for name in key.columns)


def _plain(column: Column) -> _Plain | None:
    if '"' in column.name or "\\" in column.name:
        return None  # msgspec refuses such names
    return _TEXT if column.type.is_enum else _PLAIN.get(column.type.name)


def plain_origins(
    table: Kept, wanted: Mapping[K, Iterable[Values]], chunk_bytes: int
) -> Iterator[tuple[RawRecord, K, Values]]:
    """Yield the records whose keys stand in the file as the server writes them, in file order.

    Args:
        table: the table that the rows left.
        wanted: the values to look for; a record that has several is told once, for the first.
        chunk_bytes: how much of the file is read at a time.
    """
    keys = {key: values for key, values in wanted.items() if is_plain(table, key)}
    finder = _Finder(table, keys)
    if not any(known for _, known in finder.wanted.values()):
        return
    with contextlib.closing(table.load.file.open()) as stream:
        for batch in Reader(stream, chunk_bytes, finder.decode):
            if isinstance(batch, Batch):
                for index, key, values in finder.find(batch):
                    record = batch.record(index)
                    if record.ordinal not in table.rejects.ordinals:
                        yield record, key, values


class _Finder(Generic[K]):
    """Finds wanted values among records of which only the keys are decoded."""

    def __init__(self, table: Kept, keys: Mapping[K, Iterable[Values]]) -> None:
        names = sorted({name for key in keys for name in key.columns})
        self._columns = [c for c in table.load.table.columns if c.name in names]
        self._converter = table.converter
        plain = {c.name: p for c in self._columns if (p := _plain(c)) is not None}
        self._fields = {name: f"f{n}" for n, name in enumerate(names)}
        self._struct = msgspec.defstruct(
            "Keys",
            [(self._fields[name], plain[name].annotation, None) for name in names],
            rename={field: name for name, field in self._fields.items()},
            gc=False,
        )
        self.decode = msgspec.json.Decoder(list[self._struct]).decode  # type: ignore[name-defined]
        self._decode_one = msgspec.json.Decoder(self._struct).decode
        # By key: how to take its values out of a row, and what they are on the server.
        self.wanted: dict[K, tuple[attrgetter[Any], dict[Any, Values]]] = {}
        for key, wanted in keys.items():
            kinds = [plain[name] for name in key.columns]
            known = {form: values for values in wanted for form in _forms(values, kinds)}
            self.wanted[key] = attrgetter(*(self._fields[name] for name in key.columns)), known

    def find(self, batch: Batch) -> Iterator[tuple[int, K, Values]]:
        """Yield the places of records with a wanted value, each once, in their order."""
        rows: Any = batch.rows
        if rows is None:
            rows = [self._row(raw) for raw in batch.raws()]
        found: dict[int, tuple[K, Values]] = {}
        for key, (getter, known) in self.wanted.items():
            if known.keys().isdisjoint(map(getter, rows)):
                continue
            for index, value in enumerate(map(getter, rows)):
                if value in known:
                    found.setdefault(index, (key, known[value]))
        for index in sorted(found):
            yield (index, *found[index])

    def _row(self, raw: msgspec.Raw) -> Any:  # noqa: ANN401 - a Struct made above
        """Decode one record's keys; what is written in another way is read as the ladder does."""
        try:
            return self._decode_one(raw)
        except DECODE_ERRORS:
            pass
        try:
            record = fields_of(bytes(raw))
        except DECODE_ERRORS:
            return self._struct()
        texts = {c.name: _text(self._converter, c, record.get(c.name)) for c in self._columns}
        return self._struct(**{self._fields[name]: text for name, text in texts.items()})


def _forms(values: Values, kinds: Sequence[_Plain]) -> Iterator[Any]:
    """Yield what an attrgetter may give of a key's values: one alone is no tuple."""
    forms = [
        (None,) if value is None else tuple(make(value) for make in kind.forms)
        for value, kind in zip(values, kinds, strict=True)
    ]
    for made in islice(product(*forms), _MOST_FORMS):
        yield made[0] if len(made) == 1 else made


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
