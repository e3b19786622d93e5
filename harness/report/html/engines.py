"""The engines as the page shows them: their order, names and colours, the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.engines.ablation import STEPS
from harness.model.record import FLOOR, OLDER_REFERENCE, REFERENCE
from harness.report.reference_copy import engine_name

if TYPE_CHECKING:
    from collections.abc import Iterable

FIRST = "restore"

# The places in the style sheet's list of colours, the same in every page.
_KNOWN = {FIRST: 0, REFERENCE: 1, OLDER_REFERENCE: 2, FLOOR: 3}
COLORS = 10


@dataclass(frozen=True, slots=True)
class Look:
    """An engine's name for people, and the number of its colour, dashes and marker."""

    engine: str
    name: str
    color: int


def looks(engines: Iterable[str]) -> dict[str, Look]:
    """Return how each engine looks, ``restore`` first and the reference COPY last.

    Args:
        engines: in the order of the runs. More than there are colours share them.
    """
    named = list(dict.fromkeys(engines))
    ordered = sorted(named, key=lambda engine: (engine != FIRST, engine == FLOOR))
    others = [engine for engine in ordered if engine not in _KNOWN]
    free = COLORS - len(_KNOWN)
    places = {engine: len(_KNOWN) + n % free for n, engine in enumerate(others)}
    return {
        engine: Look(engine, engine_name(engine), (_KNOWN | places)[engine]) for engine in ordered
    }


def is_step(engine: str) -> bool:
    """Return whether an engine is a step of the ablation, and nothing else."""
    return engine in {step.engine for step in STEPS} - {FIRST, REFERENCE}
