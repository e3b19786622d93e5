"""Finds the records that rows were loaded from, by keys written as the server writes them.

Most keys are numbers, UUIDs or texts of that form. C skips the records that cannot have one of the
wanted keys, in a fifth of the time of decoding the keys of all records.
"""

from __future__ import annotations

import contextlib
import decimal
from itertools import islice, product
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic

import msgspec
from msgspec import Struct

from restore.constraints.lookup import K, Key, LoadedFile, Values, literal_for
from restore.decode.codec import can_name_field
from restore.decode.packer import Candidates, make_key_finder
from restore.source.json_values import values_of
from restore.source.reader import Reader
from restore.source.records import Batch
from restore.source.recovery import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized

    from restore.source.records import RawRecord
    from restore.target.catalog import Column


class _TextForm(Struct, frozen=True):
    """A type whose values stand in most files as the server writes them.

    A file may write each of them as any of ``forms``, of the server's text; ``annotation`` decodes
    them all. ``literal``: as nothing but these texts, so that they are found without decoding.
    """

    annotation: Any
    forms: tuple[Callable[[str], Any], ...]
    literal: bool = True

    def made(self, value: str | None) -> list[Any]:
        """Return what decoding may give of a value."""
        return [None] if value is None else [form(value) for form in self.forms]


_INTEGER = _TextForm(int | str | None, (int, str))  # too long for JavaScript, it is often a string
_TEXT = _TextForm(str | None, (str,))
_PLAIN = {
    **dict.fromkeys(("int2", "int4", "int8"), _INTEGER),
    **dict.fromkeys(("citext", "text", "varchar"), _TEXT),
    "numeric": _TextForm(decimal.Decimal | None, (decimal.Decimal, str), literal=False),
    "uuid": _TextForm(str | None, (str, str.upper)),
}
# A key of several columns may be written in any mixture of their forms: so many are looked for.
_MOST_FORMS = 8


def is_plain(table: LoadedFile, key: Key) -> bool:
    """Tell whether ``lookup_by_text`` finds records by a key."""
    columns = {c.name: c for c in table.load.table.columns if not c.generated}
    return all(name in columns and _plain(columns[name]) for name in key.columns)


def _plain(column: Column) -> _TextForm | None:
    if not can_name_field(column.field):
        return None
    return _TEXT if column.type.is_enum else _PLAIN.get(column.type.name)


def lookup_by_text(
    table: LoadedFile, wanted: Mapping[K, Iterable[Values]], chunk_bytes: int
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
                for record, key, values in finder.find(batch):
                    if record.ordinal not in table.rejects.ordinals:
                        yield record, key, values


class _Finder(Generic[K]):
    """Finds wanted values among records of which only the keys are decoded."""

    def __init__(self, table: LoadedFile, keys: Mapping[K, Iterable[Values]]) -> None:
        names = sorted({name for key in keys for name in key.columns})
        self._columns = [c for c in table.load.table.columns if c.name in names]
        self._converter = table.converter
        plain = {c.name: p for c in self._columns if (p := _plain(c)) is not None}
        self._fields = {name: f"f{n}" for n, name in enumerate(names)}
        self._struct = msgspec.defstruct(
            "Keys",
            [(self._fields[name], plain[name].annotation, None) for name in names],
            rename={self._fields[c.name]: c.field for c in self._columns},
            gc=False,
        )
        self._decode = msgspec.json.Decoder(list[self._struct]).decode  # type: ignore[name-defined]
        self._decode_one = msgspec.json.Decoder(self._struct).decode
        # By key: how to take its values out of a row, and what they are on the server.
        self.wanted: dict[K, tuple[attrgetter[Any], dict[Any, Values]]] = {}
        for key, wanted in keys.items():
            kinds = [plain[name] for name in key.columns]
            known = {form: values for values in wanted for form in _forms(values, kinds)}
            self.wanted[key] = attrgetter(*(self._fields[name] for name in key.columns)), known
        literal = table.native and all(each.literal for each in plain.values())
        self._candidates = self._literal_finder(plain) if literal else None

    def decode(self, data: bytes) -> Sized:
        """Decode the keys of a JSON array, or find the records that may have a wanted one."""
        found = self._candidates(data) if self._candidates is not None else None
        return self._decode(data) if found is None else found

    def find(self, batch: Batch) -> Iterator[tuple[RawRecord, K, Values]]:
        """Yield the records with a wanted value, each once, in their order."""
        if isinstance(batch.rows, Candidates):
            records = [batch.cut(*candidate) for candidate in batch.rows]
            for index, key, values in self._match([self._row(record.raw) for record in records]):
                yield records[index], key, values
            return
        rows = batch.rows or [self._row(raw) for raw in batch.raws()]
        for index, key, values in self._match(rows):
            yield batch.record(index), key, values

    def _match(self, rows: list[Any]) -> Iterator[tuple[int, K, Values]]:
        """Yield the places of rows with a wanted value, each once, in their order."""
        found: dict[int, tuple[K, Values]] = {}
        for key, (getter, known) in self.wanted.items():
            if known.keys().isdisjoint(map(getter, rows)):
                continue
            for index, value in enumerate(map(getter, rows)):
                if value in known:
                    found.setdefault(index, (key, known[value]))
        for index in sorted(found):
            yield (index, *found[index])

    def _literal_finder(
        self, plain: Mapping[str, _TextForm]
    ) -> Callable[[bytes], Candidates | None]:
        """Return what finds, in C, the records that may have a wanted value."""
        made: dict[str, set[Any]] = {name: set() for name in self._fields}
        for key, (_, known) in self.wanted.items():
            for values in known.values():
                for name, value in zip(key.columns, values, strict=True):
                    made[name].update(plain[name].made(value))
        fields = [
            (
                c.field.encode(),
                plain[c.name] is _INTEGER,
                None in made[c.name],
                tuple({str(form).encode() for form in made[c.name] if form is not None}),
            )
            for c in self._columns
        ]
        places = {c.name: place for place, c in enumerate(self._columns)}
        return make_key_finder(
            fields, [tuple(places[n] for n in key.columns) for key in self.wanted]
        )

    def _row(self, raw: bytes | msgspec.Raw) -> Any:  # noqa: ANN401 - a Struct made above
        """Decode one record's keys; what is written in another way is read as the ladder does."""
        try:
            return self._decode_one(raw)
        except DECODE_ERRORS:
            pass
        try:
            record = values_of(bytes(raw))
        except DECODE_ERRORS:
            return self._struct()
        texts = {
            c.name: literal_for(self._converter, c, record.get(c.field)) for c in self._columns
        }
        return self._struct(**{self._fields[name]: text for name, text in texts.items()})


def _forms(values: Values, kinds: Sequence[_TextForm]) -> Iterator[Any]:
    """Yield what an attrgetter may give of a key's values: one alone is no tuple."""
    forms = [kind.made(value) for value, kind in zip(values, kinds, strict=True)]
    for made in islice(product(*forms), _MOST_FORMS):
        yield made[0] if len(made) == 1 else made
