"""What must hold of the finder: it leaves out no record that has a wanted key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from restore.decode.packer import make_key_finder
from restore.source.json_values import values_of
from restore.source.recovery import DECODE_ERRORS
from restore.tests.fuzz.packing import may_be_declined, records_of

if TYPE_CHECKING:
    from collections.abc import Iterator


class Field(NamedTuple):
    """A field of a key, and what is wanted in it: texts, and perhaps that there is no value."""

    name: str
    integers: bool
    null: bool
    wanted: frozenset[str]

    def may_have(self, value: Any) -> bool:
        """Tell whether a decoded value is wanted, whatever its form."""
        if value is None:
            return self.null
        if isinstance(value, bool | list | dict):
            return False
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return str(value) in self.wanted


def check_found(fields: tuple[Field, ...], keys: tuple[tuple[int, ...], ...], data: bytes) -> None:
    """Check which records of any bytes are found by keys.

    Raises:
        AssertionError: one with a wanted key is not, or it is not where it is said to be.
    """
    plan = [(f.name.encode(), f.integers, f.null, _as_bytes(f.wanted)) for f in fields]
    found, raws = make_key_finder(plan, keys)(data), records_of(data)
    if found is None:
        assert may_be_declined(raws)
        return
    assert raws is not None
    assert len(found) == len(raws)
    candidates = list(found)
    places = [candidate.place for candidate in candidates]
    assert places == sorted(set(places))
    for candidate in candidates:
        assert data[candidate.start : candidate.end] == raws[candidate.place]
    for place in set(range(len(raws))).difference(places):
        record = _decoded(raws[place])
        if record is None:
            continue
        for key in keys:
            has = [fields[n].may_have(record.get(fields[n].name)) for n in key]
            assert not all(has), f"left out: {raws[place]!r}"


def _as_bytes(texts: frozenset[str]) -> tuple[bytes, ...]:
    return tuple(text.encode() for text in texts)


def _decoded(raw: bytes) -> dict[str, Any] | None:
    """Return a record's values, but for those that cannot be decoded; None: nor can their names."""
    try:
        raws = values_of(raw)
    except DECODE_ERRORS:
        return None
    values = {}
    for name, value in raws.items():
        try:
            values[name] = msgspec.json.decode(value)
        except DECODE_ERRORS:
            values[name] = False  # nothing that is wanted is equal to it
    return values


_NAMES = ("a", "b", "é")
_KEYS = (((0,),), ((0, 1),), ((0,), (1, 2)), ((2,), (0,), (1,)))


def check(data: bytes) -> None:
    """Check the lines behind the first of some bytes, which says what is looked for.

    Raises:
        AssertionError: something does not hold of it.
    """
    head, _, rest = data.partition(b"\n")
    if not head:
        return
    texts = frozenset(head[1:].decode(errors="ignore").split(","))
    bits = head[0]
    fields = tuple(
        Field(name, bool(bits >> n & 1), bool(bits >> (n + 3) & 1), texts)
        for n, name in enumerate(_NAMES)
    )
    check_found(fields, _KEYS[bits >> 6], rest)


def seeds() -> Iterator[bytes]:
    """Yield records in usual and odd forms, to start from."""
    records = (
        b'{"a":1,"b":"x","c":[]}',
        b'{"a":null}',
        b'{"a":1e0,"\\u0062":"\\u0078"}',
        b'{"a":"1","a":2,"\xc3\xa9":-10}',
    )
    for n in range(0, 256, 21):
        yield bytes([n]) + b"1,-10,x\n[%b]" % b",".join(records)
