"""Values of ``django.contrib.postgres``, which are dumped as JSON in a string."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.rows import encode

if TYPE_CHECKING:
    from collections.abc import Callable

_TEXTS = frozenset({"_text", "_varchar", "_bpchar", "_citext"})
_RANGE_END = "range"

_text = msgspec.json.Decoder(str).decode
_list = msgspec.json.Decoder(list[str | None]).decode
_pairs = msgspec.json.Decoder(dict[str, str | None]).decode


class _Range(msgspec.Struct, forbid_unknown_fields=True):
    empty: bool = False
    lower: str | None = None
    upper: str | None = None
    bounds: str = "[)"


_range = msgspec.json.Decoder(_Range).decode


def reader_of(kind: str) -> Callable[[msgspec.Raw], msgspec.Raw] | None:
    """Return what makes a value of a column of this type; None: it stays as it is.

    Args:
        kind: the catalog's name of the type.
    """
    if kind.startswith("_"):
        return lambda value: _array(value, kind)
    if kind.endswith(_RANGE_END) and not kind.endswith("multirange"):
        return _range_text
    if kind == "hstore":
        return _hstore
    return None


def _array(value: msgspec.Raw, kind: str) -> msgspec.Raw:
    """Return the list in a string; what is none stays, and is refused by PostgreSQL."""
    if not bytes(value).startswith(b'"['):
        return value
    try:
        return msgspec.Raw(encode(_items(_text(value), kind)))
    except msgspec.DecodeError:
        return value


def _items(text: str, kind: str) -> list[object]:
    """Return the items of a list, of which each is a string; those of a list in a list, too.

    Raises:
        msgspec.DecodeError: it is no such list, or texts in it may be lists.
    """
    items = _list(text)
    nested = [item for item in items if item is not None and item.startswith("[")]
    if not nested:
        return list(items)
    if kind in _TEXTS:
        raise msgspec.DecodeError("a list, or a text that looks like one")
    return [None if item is None else _items(item, kind) for item in items]


def _range_text(value: msgspec.Raw) -> msgspec.Raw:
    try:
        found = _range(_text(value))
    except msgspec.DecodeError:
        return value
    if found.empty:
        return msgspec.Raw(b'"empty"')
    ends = ("" if end is None else _quoted(end) for end in (found.lower, found.upper))
    return msgspec.Raw(encode(f"{found.bounds[:1]}{','.join(ends)}{found.bounds[1:]}"))


def _hstore(value: msgspec.Raw) -> msgspec.Raw:
    try:
        pairs = _pairs(_text(value))
    except msgspec.DecodeError:
        return value
    texts = (
        f"{_quoted(key)}=>{'NULL' if item is None else _quoted(item)}"
        for key, item in pairs.items()
    )
    return msgspec.Raw(encode(",".join(texts)))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
