"""Which records of a file are taken in this pass over it, if those without an id come last."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import astuple

from restore.decode.codec import can_name_field
from restore.source.json_values import values_of
from restore.source.recovery import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from restore.decode.packer import PackedBatch

_ABSENT = msgspec.Raw(b"")


class Turns:
    """Tells which records are taken now, and which before or after.

    Attributes:
        names: fields of columns with a sequence; records that lack one are taken later.
        later: the others are in.
    """

    def __init__(self) -> None:
        self.names: frozenset[str] = frozenset()
        self.later = False

    def set(self, names: frozenset[str], *, later: bool) -> None:
        """Say which records are taken now."""
        if names != self.names:
            self.names = names
            self._quoted = [json.dumps(name, ensure_ascii=False).encode() for name in names]
            self._lacks_one = _lacks_one(names)
        self.later = later

    def takes(self, raw: bytes) -> bool:
        """Tell whether it is a record's turn."""
        return not self.names or self._lacks(raw) == self.later

    def takes_fields(self, fields: Collection[str] | None) -> bool:
        """Tell whether it is the turn of a record with these fields, or of what is no record."""
        lacks = fields is not None and not self.names <= set(fields)
        return not self.names or lacks == self.later

    def takes_named(self, named: frozenset[str]) -> bool:
        """Tell whether it is the turn of records that have these fields with a default alone."""
        return not self.names or (not self.names <= named) == self.later

    def places(self, found: PackedBatch, named: frozenset[str]) -> list[int] | None:
        """Return the places of the records whose turn it is; None: of all.

        Args:
            found: what was packed of them.
            named: the fields of columns with a default that what was packed has.
        """
        if not self.names:
            return None
        if not self.takes_named(named):
            return [at for at in found.declined if self.takes(found[at])]
        others = {at for at in found.declined if not self.takes(found[at])}
        return [at for at in range(found.count) if at not in others] if others else None

    def _lacks(self, raw: bytes) -> bool:
        if b"\\" not in raw and raw[:1] == b"{" and not all(map(raw.__contains__, self._quoted)):
            return True
        try:
            return self._lacks_one(raw)
        except DECODE_ERRORS:
            return False  # it is no record


def _lacks_one(names: Collection[str]) -> Callable[[bytes], bool]:
    if not all(map(can_name_field, names)):
        return lambda raw: not values_of(raw).keys() >= set(names)
    struct = msgspec.defstruct(
        "Drawn",
        [(f"f{n}", msgspec.Raw, _ABSENT) for n in range(len(names))],
        rename={f"f{n}": name for n, name in enumerate(names)},
        gc=False,
    )
    decode = msgspec.json.Decoder(struct).decode
    return lambda raw: any(value is _ABSENT for value in astuple(decode(raw)))
