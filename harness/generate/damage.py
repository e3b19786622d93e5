"""The damage of the fault profile ``realistic``: changes to a record's JSON and ground truth.

A value can be restored if PostgreSQL itself accepts its text, with ``TimeZone`` UTC: ``"42"`` is an
integer, ``"2024-03-05 10:00:00+02"`` a timestamp; ``"abc"`` is no number. An absent field takes the
column's default, if it has one.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

from harness.generate.column import Block, Column, UniqueColumn, below, seeded
from harness.generate.keys import Reference, Serial, Uuid
from harness.generate.nested import Document
from harness.model.manifest import Damage

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Collection, Mapping, Sequence

    from harness.generate.scenario import Table

#: Kinds of damage that leave a record restorable.
RESTORABLE = frozenset({"date_spelling", "number_as_string", "missing_default"})
#: All kinds, in the order of their use.
KINDS = (
    *("bad_date", "duplicate_key", "orphan", "wrong_type", "nul", "missing_required"),
    *("date_spelling", "duplicate_unique", "null_required", "number_as_string", "missing_default"),
)


class Edit(NamedTuple):
    """A damaged field: its JSON (None if it is absent), and its text if it is restorable."""

    json: str | None
    text: str | None = None


class DamagedField(NamedTuple):
    """A field to be damaged: its position and its value."""

    block: Block
    ordinal: int
    column: Column
    json: str
    text: str | None
    rng: random.Random


def candidates(tables: Sequence[Table]) -> dict[str, list[tuple[str, str]]]:
    """Return the fields, as table and column, that each kind of damage applies to."""
    found: dict[str, list[tuple[str, str]]] = {kind: [] for kind in KINDS}
    for table in tables:
        for column in table.columns:
            for kind in _kinds_for(column, is_key=column is table.columns[0]):
                found[kind].append((table.name, column.name))
    return {kind: places for kind, places in found.items() if places}


def draw_damage(
    kind: str,
    places: Sequence[tuple[str, str]],
    records: Mapping[str, int],
    planned: Mapping[str, Collection[int]],
    rng: random.Random,
) -> Damage:
    """Choose a table, a field and an undamaged record, never the first one.

    The first record of each table stays undamaged, so that there is always one to refer to.
    """
    tables = sorted({table for table, _ in places})
    table = _pick(tables, rng)
    fields = [field for name, field in places if name == table]
    field = _pick(fields, rng)
    ordinal = 0
    while ordinal == 0 or ordinal in planned[table]:
        ordinal = below(records[table], rng)
    return Damage(
        table=table, ordinal=ordinal, damage=kind, field=field, restorable=kind in RESTORABLE
    )


def edit(damage: Damage, block: Block, column: Column, json: str, text: str | None) -> Edit:
    """Return the field as the damage changes it."""
    rng = seeded(f"{block.population.seed}/{damage.table}/{damage.ordinal}/damage")
    return _EDITS[damage.damage](DamagedField(block, damage.ordinal or 0, column, json, text, rng))


def _kinds_for(column: Column, *, is_key: bool) -> set[str]:
    kinds = set(column.damages)
    if isinstance(column, Reference) and not column.enforced:
        kinds.discard("orphan")
    if is_key:
        # Others refer to the key: only a duplicate leaves their references valid.
        return {"duplicate_key"}
    if isinstance(column, UniqueColumn):
        kinds.add("duplicate_unique")
    if column.default is not None:
        kinds.add("missing_default")
    elif column.nulls is None:
        kinds.add("missing_required")
        if not isinstance(column, Document):  # its null is JSON's own, no NULL
            kinds.add("null_required")
    return kinds


def _bad_date(target: DamagedField) -> Edit:
    years, day = 2021 + target.rng.getrandbits(1), 10 + target.rng.getrandbits(4)
    impossible = (
        f"{years}-02-30T10:15:00.000Z",
        f"{years}-13-{day}T08:00:00.000Z",
        f"{years}-06-31T23:59:59.999Z",
        "0000-00-00T00:00:00.000Z",
        "Invalid Date",
    )
    return Edit(f'"{_pick(impossible, target.rng)}"')


def _date_spelling(target: DamagedField) -> Edit:
    """Write a whole second in ways that PostgreSQL reads and ISO 8601 parsers may not."""
    second = int(target.text) // 1_000_000 if target.text is not None else 1_700_000_000
    utc = dt.datetime.fromtimestamp(second, dt.UTC)
    east = utc + dt.timedelta(hours=2)
    spelled = (
        f"{east:%Y-%m-%d %H:%M:%S}+02",
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        f"{east:%Y%m%dT%H%M%S}+0200",
        f"{utc:%a}, {utc:%d %b %Y %H:%M:%S} GMT",
    )
    return Edit(f'"{_pick(spelled, target.rng)}"', f"{second}000000")


def _duplicate(target: DamagedField) -> Edit:
    """Repeat the value of an earlier restorable record: near or far."""
    assert isinstance(target.column, UniqueColumn)  # noqa: S101 - _kinds_for offers no other
    population, table = target.block.population, target.block.table
    near = target.rng.getrandbits(1)
    earlier = target.ordinal - 1 if near else below(target.ordinal, target.rng)
    while not population.restorable(table, earlier):
        earlier -= 1
    return Edit(target.column.of(population, table, [earlier]).json[0])


def _orphan(target: DamagedField) -> Edit:
    """Refer to a key that no record has."""
    assert isinstance(target.column, Reference)  # noqa: S101 - _kinds_for offers no other
    key = target.block.population.keys[target.column.to]
    if isinstance(key, Uuid):
        return Edit(f'"{target.rng.getrandbits(32):08x}-dead-4000-8000-{target.ordinal:012x}"')
    assert isinstance(key, Serial)  # noqa: S101 - keys are UUIDs or integers
    return Edit(str(10**12 + target.ordinal))


def _wrong_type(target: DamagedField) -> Edit:
    return Edit(f'"{_pick(("abc", "n/a", "12,50 €", "-"), target.rng)}"')


def _number_as_string(target: DamagedField) -> Edit:
    text = "42" if target.text is None else target.text
    return Edit(f'"{text}"', text)


def _nul(target: DamagedField) -> Edit:
    """Append a NUL, as C programs may leave it."""
    text = '"' if target.json == "null" else target.json[:-1]
    return Edit(f'{text}\\u0000"')


def _absent(_: DamagedField) -> Edit:
    return Edit(None)


def _default(target: DamagedField) -> Edit:
    return Edit(None, target.column.default)


def _null(_: DamagedField) -> Edit:
    return Edit("null")


_EDITS: dict[str, Callable[[DamagedField], Edit]] = {
    "bad_date": _bad_date,
    "date_spelling": _date_spelling,
    "duplicate_key": _duplicate,
    "duplicate_unique": _duplicate,
    "orphan": _orphan,
    "wrong_type": _wrong_type,
    "number_as_string": _number_as_string,
    "nul": _nul,
    "missing_required": _absent,
    "missing_default": _default,
    "null_required": _null,
}


def _pick(choices: Sequence[str], rng: random.Random) -> str:
    return choices[below(len(choices), rng)]
