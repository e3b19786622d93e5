"""Django's ``dumpdata``, as a list or as lines: each record names its model, key and fields."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from restore.source.bare_numbers import unmark_bare_numbers
from restore.source.formats.cursor import top_records
from restore.source.formats.django_values import reader_of
from restore.source.formats.format import FormatError, FoundRecord
from restore.source.formats.paths import first_object
from restore.source.formats.rows import decode_record, encode, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns

_MODEL = re.compile(rb'"\w+\.\w+"\s*')
_FIELDS = frozenset({"model", "pk", "fields"})
# PostgreSQL's limit, and the length of the hash that Django ends a name with that is longer.
_NAME_LENGTH, _HASH_LENGTH = 63, 4
_ANOTHER_DUMP = "dump it again without --natural-primary and --natural-foreign"
_COLUMNS_OF_JOIN = 2

# The tables of Django's own models that are not named after them.
_OWN_TABLES = {
    "admin.logentry": "django_admin_log",
    "contenttypes.contenttype": "django_content_type",
    "flatpages.flatpage": "django_flatpage",
    "redirects.redirect": "django_redirect",
    "sessions.session": "django_session",
    "sites.site": "django_site",
}

_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Object(msgspec.Struct):
    """A record of a dump; ``pk`` is empty if it has none."""

    model: str
    fields: dict[str, msgspec.Raw]
    pk: msgspec.Raw = msgspec.Raw()


_object = msgspec.json.Decoder(_Object).decode


class _Django:
    """A list field that is no column goes to the join table MODEL_FIELD, if there is one.

    As long as the tables are not known, every list field is named as if it had a join table, which
    the target may lack.
    """

    name = "django"
    title = "Django's dumpdata"
    recognised_by = "objects of just `model`, `pk` and `fields`, in a list or one a line"
    wrapper = _FIELDS

    def detect(self, start: bytes) -> bool:
        fields = first_object(start)
        return (
            _FIELDS >= fields.keys() >= {"model", "fields"}
            and _MODEL.fullmatch(fields["model"]) is not None
            and fields["fields"].startswith(b"{")
        )

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        names: dict[str, str] = {}
        readers = {name: _readers(columns) for name, columns in (tables or {}).items()}
        for record in top_records(stream):
            found, is_marked = decode_record(record.raw, _object)
            if found is None:
                yield FoundRecord(None, record.raw, record.offset)
                continue
            table = names.get(found.model)
            if table is None:
                own = _OWN_TABLES.get(found.model)
                table = own or _table_name(*found.model.partition(".")[::2])
                names[found.model] = table
            if not found.pk:
                raise FormatError(f"a record of {found.model} has no pk: {_ANOTHER_DUMP}")
            for name, read in readers.get(table, ()):
                if name in found.fields:
                    found.fields[name] = read(found.fields[name])
            rows = _listed(table, found) if tables is None else _rows(table, found, tables)
            for name, row in rows:
                data = unmark_bare_numbers(row) if is_marked else row
                yield FoundRecord(name, data, record.offset, name != table, record.offset)

    def check(self, stream: ByteSource, tables: Mapping[str, TableColumns]) -> None:
        """Raise FormatError if a record refers to others by natural keys."""
        for _ in self.records(stream, tables):
            pass


FORMAT = _Django()


def _table_name(app: str, model: str) -> str:
    """Return the name that Django gives to a table: long ones are cut, and end with a hash."""
    name = f"{app}_{model}"
    if len(name) <= _NAME_LENGTH:
        return name
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return name[: _NAME_LENGTH - _HASH_LENGTH] + digest[:_HASH_LENGTH]


def _readers(
    columns: TableColumns,
) -> tuple[tuple[str, Callable[[msgspec.Raw], msgspec.Raw]], ...]:
    """Return the columns whose values are dumped as JSON in a string, with what reads them."""
    found = (
        (name, reader_of(kind)) for name, kind in zip(columns.names, columns.types, strict=False)
    )
    return tuple((name, read) for name, read in found if read is not None)


def _listed(table: str, found: _Object) -> Iterator[tuple[str, bytes]]:
    yield table, b""
    for field, value in found.fields.items():
        if bytes(value).startswith(b"["):
            yield _table_name(table, field), b""


def _rows(
    table: str, found: _Object, tables: Mapping[str, TableColumns]
) -> Iterator[tuple[str, bytes]]:
    """Yield the row of a record, and then those of its join tables."""
    columns = tables.get(table)
    if columns is None:  # a table that is left out
        yield table, one_line(encode(found.fields))
        return
    row = _key(found, columns)
    joins: list[tuple[str, bytes]] = []
    for field, value in found.fields.items():
        if field in columns.names:
            row[field] = value
        elif f"{field}_id" in columns.names:
            if bytes(value).startswith((b"[", b"{")):
                raise FormatError(
                    f"{found.model} refers to {field} by a natural key: {_ANOTHER_DUMP}"
                )
            row[f"{field}_id"] = value
        else:
            joined = _table_name(table, field)
            sides = _sides(tables.get(joined), found.model)
            if sides is None or not bytes(value).startswith(b"["):
                row[field] = value
            else:
                joins.extend((joined, line) for line in _join_rows(found, field, sides))
    yield table, one_line(encode(row))
    yield from joins


def _key(found: _Object, columns: TableColumns) -> dict[str, msgspec.Raw]:
    """Return the columns of the primary key with their values."""
    if len(columns.key) == 1:
        return {columns.key[0]: found.pk}
    values = _list(found.pk) if bytes(found.pk).startswith(b"[") else []
    if columns.key and len(values) == len(columns.key):
        return dict(zip(columns.key, values, strict=True))
    return {"id": found.pk}


def _sides(join: TableColumns | None, model: str) -> tuple[str, str] | None:
    """Return a join table's columns for the record and for the other; None: it is none."""
    if join is None:
        return None
    names = [name for name in join.names if name != "id"]
    if len(names) != _COLUMNS_OF_JOIN:
        return None
    name = model.partition(".")[2]
    for own in (f"from_{name}_id", f"{name}_id"):
        if own in names:
            names.remove(own)
            return own, names[0]
    return names[0], names[1]


def _join_rows(found: _Object, field: str, sides: tuple[str, str]) -> Iterator[bytes]:
    for other in _list(found.fields[field]):
        if bytes(other).startswith((b"[", b"{")):
            raise FormatError(f"{found.model} refers to {field} by natural keys: {_ANOTHER_DUMP}")
        yield one_line(encode({sides[0]: found.pk, sides[1]: other}))
