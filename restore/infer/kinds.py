"""What is known of the values of one JSON kind: how many there are, and what takes all of them."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, get_args

from msgspec import Struct, field

from restore.infer.values import (
    Numeral,
    TextForm,
    fits_jsonb,
    fits_numeric,
    has_form,
    is_exact_double,
    is_exact_double_integer,
    is_float_like,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

# Numerals of so many characters without an exponent have no more than 15 digits.
_SHORT_NUMERAL = 16
_INT4, _INT8 = 2**31, 2**63
_UTC = ("Z", "+00", "+00:00", "+0000", "-00", "-00:00", "-0000")
_BUFFER = {"type", "data"}
_BYTES = range(256)


class ColumnType(NamedTuple):
    """A column's type in SQL, and in words what its values are."""

    sql: str
    why: str


class Kind(Protocol):
    """The values of one JSON kind in one field.

    Attributes:
        count: how many there are.
        only_json: how many of them neither text, numeric nor jsonb takes. json does: it keeps a
            value as it is written.
    """

    count: int
    only_json: int

    @property
    def noun(self) -> str:
        """What they are called, one of them."""

    def add(self, values: Sequence[Any], *, is_unusual: bool) -> None:
        """Add values of this kind, of which some may be ``only_json`` if ``is_unusual``."""

    def type(self) -> ColumnType:
        """Return the narrowest type that takes all of them and gives them back unchanged."""


def counted(kind: Kind) -> str:
    """Write ``1,000 texts``."""
    return f"{kind.count:,} {kind.noun}{'' if kind.count == 1 else 's'}"


class Booleans(Struct):
    """``true`` and ``false``."""

    count: int = 0
    only_json: int = 0

    @property
    def noun(self) -> str:
        """Return what one is called."""
        return "boolean"

    def add(self, values: Sequence[Any], *, is_unusual: bool) -> None:  # noqa: ARG002 - none is
        """Add values."""
        self.count += len(values)

    def type(self) -> ColumnType:
        """Return ``boolean``."""
        return ColumnType("boolean", counted(self))


class Numbers(Struct):
    """Integers, and numbers with a fraction or an exponent.

    Attributes:
        low: the least integer; None: there is none. ``high``: the greatest.
        numerals: how many have a fraction or an exponent.
        specials: how many are a bare ``NaN`` or ``Infinity``.
    """

    count: int = 0
    only_json: int = 0
    low: int | None = None
    high: int | None = None
    numerals: int = 0
    specials: int = 0
    _exact_doubles: bool = True
    _float_like: bool = False

    @property
    def noun(self) -> str:
        """Return what one is called."""
        return "number" if self.numerals or self.specials else "integer"

    def add(self, values: Sequence[Any], *, is_unusual: bool) -> None:
        """Add integers, or numerals."""
        self.count += len(values)
        if type(values[0]) is int:
            low, high = min(values), max(values)
            self.low = low if self.low is None else min(self.low, low)
            self.high = high if self.high is None else max(self.high, high)
            return
        self.numerals += len(values)
        if is_unusual:
            self.only_json += sum(not fits_numeric(value) for value in values)
        joined = "".join(values)
        has_exponent = "e" in joined or "E" in joined
        is_short = not has_exponent and max(map(len, values)) <= _SHORT_NUMERAL
        if not (is_short or self.only_json):
            self._exact_doubles = self._exact_doubles and all(map(is_exact_double, values))
        if not self._float_like and (not is_short or "-0" in joined):
            self._float_like = any(map(is_float_like, values))

    def add_special(self) -> None:
        """Add a bare ``NaN`` or ``Infinity``."""
        self.count += 1
        self.specials += 1

    def type(self) -> ColumnType:
        """Return a type of integers, ``double precision`` if that is exact, or ``numeric``."""
        low, high = self.low or 0, self.high or 0
        if not (self.numerals or self.specials):
            why = counted(self) + (f" from {low:,} to {high:,}" if low != high else f", {low:,}")
            if low >= -_INT4 and high < _INT4:
                return ColumnType("integer", why)
            return ColumnType("bigint" if low >= -_INT8 and high < _INT8 else "numeric", why)
        exact = self._exact_doubles and all(map(is_exact_double_integer, (low, high)))
        if exact and (self._float_like or self.specials):
            return ColumnType("double precision", f"{counted(self)}, exact as floats")
        return ColumnType("numeric", counted(self))


class Texts(Struct):
    """Strings.

    Attributes:
        longest: characters of the longest.
    """

    count: int = 0
    only_json: int = 0
    longest: int = 0
    _forms: set[TextForm] = field(default_factory=lambda: set(get_args(TextForm)))
    _offsets: int = 0

    @property
    def noun(self) -> str:
        """Return what one is called."""
        return "text"

    def add(self, values: Sequence[Any], *, is_unusual: bool) -> None:
        """Add texts."""
        self.count += len(values)
        if is_unusual:
            self.only_json += sum("\0" in value for value in values)
        longest = max(map(len, values))
        self.longest = max(self.longest, longest)
        self._forms = {form for form in self._forms if has_form(values, form)}
        if "timestamptz" in self._forms and any(value[-1] != "Z" for value in values):
            self._offsets += sum(not value.endswith(_UTC) for value in values)

    def type(self) -> ColumnType:
        """Return ``uuid``, a type of dates and times, ``bytea``, or else ``text``."""
        if not self._forms:
            return ColumnType("text", f"{counted(self)} of up to {self.longest:,} characters")
        [form] = self._forms
        offsets = (
            f"; {self._offsets:,} have an offset: the instant is kept" if self._offsets else ""
        )
        return ColumnType(form, counted(self) + offsets)


class Objects(Struct):
    """Objects."""

    count: int = 0
    only_json: int = 0
    _are_buffers: bool = True

    @property
    def noun(self) -> str:
        """Return what one is called."""
        return "object"

    def add(self, values: Sequence[Any], *, is_unusual: bool) -> None:
        """Add objects."""
        self.count += len(values)
        if is_unusual:
            self.only_json += sum(not fits_jsonb(value) for value in values)
        self._are_buffers = self._are_buffers and all(map(_is_buffer, values))

    def add_deep(self) -> None:
        """Add a document that is nested too deep, or holds too much, to be looked into."""
        self.count += 1
        self.only_json += 1

    def type(self) -> ColumnType:
        """Return ``jsonb``, or ``bytea`` if all are buffers of Node.js."""
        if self._are_buffers:
            return ColumnType("bytea", f"{counted(self)}, each a buffer of Node.js")
        return ColumnType("jsonb", counted(self))


class Arrays(Struct):
    """Arrays, and what their members are, null aside."""

    count: int = 0
    only_json: int = 0
    _members: dict[type, Kind] = field(default_factory=dict)

    @property
    def noun(self) -> str:
        """Return what one is called."""
        return "array"

    def add(self, values: Sequence[Any], *, is_unusual: bool) -> None:
        """Add arrays."""
        self.count += len(values)
        if is_unusual:
            self.only_json += sum(not fits_jsonb(value) for value in values)
        if self._members.keys() & {list, dict}:
            return
        members = [member for member in chain.from_iterable(values) if member is not None]
        if not {list, dict}.isdisjoint(map(type, members)):
            self._members = {dict: Objects()}
        else:
            add_by_kind(self._members, members, is_unusual=is_unusual)

    def type(self) -> ColumnType:
        """Return an array of the type of all members, or ``jsonb`` if there is none."""
        kinds = set(map(id, self._members.values()))
        if len(kinds) != 1 or self._members.keys() & {dict}:
            return ColumnType("jsonb", counted(self))
        inner = next(iter(self._members.values())).type()
        if inner.sql == "bytea":
            return ColumnType("jsonb", f"{counted(self)} of {inner.why}")
        return ColumnType(f"{inner.sql}[]", f"{counted(self)} of {inner.why}")


def add_by_kind(kinds: dict[type, Kind], values: Sequence[Any], *, is_unusual: bool) -> None:
    """Add values that are not null to what is known of their kinds.

    Args:
        kinds: what is known, by the Python type of a value. Integers and numerals are one kind.
        values: as ``RecordDecoder`` gives them.
        is_unusual: some may be too much for text, numeric or jsonb.
    """
    found = set(map(type, values))
    for one in found:
        chosen = values if len(found) == 1 else [v for v in values if type(v) is one]
        kind_of(kinds, one).add(chosen, is_unusual=is_unusual)


def kind_of(kinds: dict[type, Kind], one: type) -> Any:  # noqa: ANN401 - the kind of this type
    """Return what is known of the values of a Python type, nothing at first."""
    known = kinds.get(one)
    if known is None:
        if one in _NUMBERS:
            known = next((kinds[each] for each in _NUMBERS if each in kinds), Numbers())
        else:
            known = _KINDS[one]()
        kinds[one] = known
    return known


_NUMBERS = (int, Numeral)
_KINDS: dict[type, type[Kind]] = {
    bool: Booleans,
    dict: Objects,
    list: Arrays,
    str: Texts,
}


def _is_buffer(value: dict[str, Any]) -> bool:
    """Tell if an object is what ``JSON.stringify`` makes of a buffer of Node.js."""
    data = value.get("data")
    return (
        value.keys() == _BUFFER
        and value["type"] == "Buffer"
        and isinstance(data, list)
        and all(type(n) is int and n in _BYTES for n in data)
    )
