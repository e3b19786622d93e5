"""Plans a dataset before its first record: record counts per table, and damaged records.

Both must be known in advance: a record refers to others by ordinal, and never to one that cannot be
restored.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.generate.column import Population, seeded
from harness.generate.damage import candidates, draw_damage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.generate.scenario import Scenario, Table
    from harness.generate.spec import DatasetSpec
    from harness.model.manifest import Damage

#: One record in this many is damaged under the fault profile ``realistic``.
REALISTIC_SHARE = 1000
#: At most one record in this many of a table is damaged: others need records to refer to.
SCARCITY = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """All inputs for making any block."""

    spec: DatasetSpec
    scenario: Scenario
    population: Population
    damage: Mapping[str, Mapping[int, Damage]]


def make_plan(spec: DatasetSpec, scenario: Scenario) -> Plan:
    """Plan the records and the damage of a dataset."""
    records = allocate_rows(spec.rows, scenario.tables)
    damage = plan_damage(spec, scenario, records)
    unrestorable = {
        table: frozenset(ordinal for ordinal, one in found.items() if not one.restorable)
        for table, found in damage.items()
    }
    population = Population(
        seed=spec.seed,
        epoch_s=int(scenario.shape.epoch.timestamp()),
        records=records,
        keys={table.name: table.key for table in scenario.tables},
        unrestorable=unrestorable,
    )
    return Plan(spec, scenario, population, damage)


def fingerprint(spec: DatasetSpec, scenario: Scenario) -> str:
    """Hash all that determines a dataset's bytes: its arguments, its scenario, and the code."""
    digest = hashlib.sha256(json.dumps(dataclasses.asdict(spec), sort_keys=True).encode())
    digest.update(scenario.fingerprint().encode())
    # The version identifies a release; between releases, the code does.
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def allocate_rows(rows: int, tables: tuple[Table, ...]) -> dict[str, int]:
    """Divide ``rows`` exactly among the tables by their shares.

    Each table has at least one record if there are enough, parents first, so that references have
    a target.
    """
    first = min(rows, len(tables))
    spare = rows - first
    total = sum(table.share for table in tables)
    shares = {table.name: spare * table.share / total for table in tables}
    counts = {table.name: int(shares[table.name]) + (at < first) for at, table in enumerate(tables)}
    by_fraction = sorted(shares, key=lambda name: int(shares[name]) - shares[name])
    for name in by_fraction[: rows - sum(counts.values())]:
        counts[name] += 1
    return counts


def plan_damage(
    spec: DatasetSpec, scenario: Scenario, records: Mapping[str, int]
) -> dict[str, dict[int, Damage]]:
    """Choose the damaged records: kinds in turn, tables at random."""
    planned: dict[str, dict[int, Damage]] = defaultdict(dict)
    if spec.faults == "none":
        return planned
    rng = seeded(f"{spec.seed}/damage")
    room = {name: count // SCARCITY for name, count in records.items()}
    kinds = candidates(scenario.tables)
    for turn in range(-(-spec.rows // REALISTIC_SHARE)):
        kind = list(kinds)[turn % len(kinds)]
        open_places = [place for place in kinds[kind] if len(planned[place[0]]) < room[place[0]]]
        if open_places:
            chosen = draw_damage(kind, open_places, records, planned, rng)
            planned[chosen.table][chosen.ordinal or 0] = chosen
    return planned
