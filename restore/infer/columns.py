"""What is known of one field's values, and the type of a column that takes all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from restore.infer.kinds import (
    ColumnType,
    Kind,
    Numbers,
    Objects,
    Texts,
    add_by_kind,
    counted,
    kind_of,
)
from restore.text import pluralize

if TYPE_CHECKING:
    from collections.abc import Sequence


class Column(Struct):
    """The values of one field that are not null.

    Attributes:
        filled: how many there are.
    """

    filled: int = 0
    _kinds: dict[type, Kind] = field(default_factory=dict)

    def add(self, values: Sequence[Any], *, is_unusual: bool) -> None:
        """Add values; see ``add_by_kind``."""
        self.filled += len(values)
        add_by_kind(self._kinds, values, is_unusual=is_unusual)

    def add_special(self) -> None:
        """Add a bare ``NaN`` or ``Infinity``."""
        self.filled += 1
        numbers: Numbers = kind_of(self._kinds, int)
        numbers.add_special()

    def add_deep(self) -> None:
        """Add a document that is nested too deep to be looked into."""
        self.filled += 1
        objects: Objects = kind_of(self._kinds, dict)
        objects.add_deep()

    @property
    def key_kind(self) -> Numbers | Texts | None:
        """What is known of the values if they may be a key's: integers alone, or texts alone."""
        if len(self._kinds) != 1:
            return None
        [kind] = self._kinds.values()
        if isinstance(kind, Numbers) and not (kind.numerals or kind.specials):
            return kind
        return kind if isinstance(kind, Texts) and not kind.only_json else None

    @property
    def lost_specials(self) -> int:
        """How many are a bare ``NaN`` or ``Infinity``, which the column's type does not take."""
        number_types = {"numeric", "double precision"}
        numbers = self._kinds.get(int)
        if not isinstance(numbers, Numbers) or self.type().sql in number_types:
            return 0
        return numbers.specials

    def type(self) -> ColumnType:
        """Return the narrowest type that takes all values and gives them back unchanged."""
        kinds = list({id(kind): kind for kind in self._kinds.values()}.values())
        if not kinds:
            return ColumnType("text", "no values")
        why = " and ".join(sorted(map(counted, kinds)))
        only_json = sum(kind.only_json for kind in kinds)
        if only_json:
            are = f"{pluralize(only_json, 'value')} {'is' if only_json == 1 else 'are'}"
            return ColumnType("json", f"{why}; {are} beyond text, numeric and jsonb")
        return kinds[0].type() if len(kinds) == 1 else ColumnType("jsonb", why)
