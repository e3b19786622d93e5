"""A block of records: its bytes in the file, and its contribution to the ground truth."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from harness.generate import damage, truth
from harness.generate.column import Block
from harness.generate.nested import template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.generate.column import Column, Values
    from harness.generate.plan import Plan
    from harness.generate.scenario import Table
    from harness.model.manifest import Damage

#: Records per block. Bounds the memory of a process to some 20 MB, and one unit of work to some
#: 100 ms.
BLOCK_RECORDS = 5000


@dataclass(frozen=True, slots=True)
class Style:
    """The layout of a file: the text before, between, after and in its records."""

    opening: bytes
    separator: bytes
    closing: bytes
    pretty: bool = False

    def template(self, names: list[str]) -> str:
        """Make a ``%`` template for a record with these fields."""
        if self.pretty:
            return "  " + template(names, colon=": ", comma=",", indent="\n    ", end="\n  ")
        return template(names, colon=":", comma=",")


STYLES = {
    "lines": Style(b"[\n", b",\n", b"\n]\n"),
    "compact": Style(b"[", b",", b"]"),
    "pretty": Style(b"[\n", b",\n", b"\n]", pretty=True),
}


class Piece(NamedTuple):
    """A finished block.

    ``digests`` are the hashes of its rows, 32 bytes each; ``damaged`` says of each damaged record
    where in ``data`` it begins, and its hash; ``data`` has neither the opening nor the closing of
    the file.
    """

    records: int
    digests: bytes
    damaged: dict[int, tuple[int, str]]
    data: bytes


@dataclass(frozen=True, slots=True)
class _Draft:
    """A block's records and their ground truth, before damage."""

    columns: Mapping[str, Column]
    values: Mapping[str, Values]
    style: Style
    records: list[str]
    rows: list[tuple[bytes, ...]]


def make_piece(plan: Plan, table: Table, block: Block) -> Piece:
    """Make one block of a table."""
    draft = _draft(table, block, STYLES[plan.spec.style])
    planned = plan.damage.get(table.name, {})
    lost = _damage(draft, block, planned)
    rows = [row for at, row in enumerate(draft.rows) if at not in lost] if lost else draft.rows
    records = [record.encode() for record in draft.records]
    separator = draft.style.separator
    damaged = _places(records, len(separator), block, planned)
    digests = truth.digests(rows, len(table.columns))
    return Piece(block.count, digests, damaged, separator.join(records))


def _places(
    records: list[bytes], separator_bytes: int, block: Block, planned: Mapping[int, Damage]
) -> dict[int, tuple[int, str]]:
    """Return where the damaged records of a block begin, after their indents, and their hashes."""
    places, start = {}, 0
    for ordinal, record in zip(block.ordinals if planned else (), records, strict=False):
        if ordinal in planned:
            bare = record.lstrip()
            places[ordinal] = start + len(record) - len(bare), hashlib.sha256(bare).hexdigest()
        start += len(record) + separator_bytes
    return places


def _draft(table: Table, block: Block, style: Style) -> _Draft:
    columns = {column.name: column for column in table.columns}
    values = {name: column.make(block) for name, column in columns.items()}
    if style.pretty:
        values |= {
            name: _indented(values[name]) for name, column in columns.items() if column.nested
        }
    layout = style.template(list(values))
    rows = zip(*[column.json for column in values.values()], strict=True)
    records = [layout % row for row in rows]
    cells = [truth.cells(columns[name].form, column.text) for name, column in values.items()]
    return _Draft(columns, values, style, records, list(zip(*cells, strict=True)))


def _damage(draft: _Draft, block: Block, planned: Mapping[int, Damage]) -> set[int]:
    """Apply the planned damage; return the indexes of records that become unrestorable."""
    lost = set()
    names = list(draft.values)
    for ordinal in [ordinal for ordinal in planned if ordinal in block.ordinals]:
        one, at = planned[ordinal], ordinal - block.start
        field = names.index(one.field or "")
        row = [column.json[at] for column in draft.values.values()]
        column = draft.columns[names[field]]
        text = draft.values[names[field]].text[at]
        edit = damage.edit(one, block, column, row[field], text)
        if edit.text is None:
            lost.add(at)
        else:
            cells = draft.rows[at]
            (cell,) = truth.cells(column.form, [edit.text])
            draft.rows[at] = (*cells[:field], cell, *cells[field + 1 :])
        edited = dict(zip(names, row, strict=True)) | {names[field]: edit.json}
        draft.records[at] = _record(edited, draft.style)
    return lost


def _record(row: Mapping[str, str | None], style: Style) -> str:
    """Write one record; a field that is None is absent."""
    present = {name: json for name, json in row.items() if json is not None}
    return style.template(list(present)) % tuple(present.values())


def _indented(values: Values) -> Values:
    """Spread arrays and documents over lines, as ``JSON.stringify(records, null, 2)`` does."""
    return values._replace(json=[_spread(one) for one in values.json])


def _spread(text: str) -> str:
    pretty = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    return pretty.replace("\n", "\n    ")


def blocks(plan: Plan) -> Iterator[tuple[Table, Block]]:
    """Yield every block of a dataset, in order."""
    for table in plan.scenario.tables:
        for block in blocks_of(plan, table):
            yield table, block


def blocks_of(plan: Plan, table: Table) -> list[Block]:
    """Return the blocks of a table."""
    records = plan.population.records[table.name]
    return [
        Block(plan.population, table.name, start, min(BLOCK_RECORDS, records - start))
        for start in range(0, records, BLOCK_RECORDS)
    ]
