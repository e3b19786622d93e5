"""Draws the faults of a campaign and their times from a seed, before it starts."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Values of --retry-for: the restore must recover with and without reconnecting.
RETRY_FOR_S = (0, 30)

# Duration of temporary faults: shorter and longer than a server's restart.
_SHORTEST_HOLD_S, _LONGEST_HOLD_S = 0.3, 3.0


@dataclass(frozen=True, slots=True)
class FaultChoice:
    """One fault.

    Attributes:
        kind: its kind (``faults.KINDS``).
        fraction: when, as a share of the duration of a restore without faults, 0 to 1.
        victim: which of several targets, 0 to 1.
        hold_s: its duration, if it is temporary.
        retry_for_s: the ``--retry-for`` of the restorer that it hits.
    """

    kind: str
    fraction: float
    victim: float
    hold_s: float
    retry_for_s: int


def draw(weights: Mapping[str, int], kills: int, seed: int) -> list[FaultChoice]:
    """Draw the faults of a campaign: the same ones for the same arguments.

    Kinds are drawn by weight, but each once before any is repeated. Times are stratified (one in
    each of ``kills`` equal parts of a restore, in random order), so that no phase is left out by
    chance.

    Args:
        weights: the kinds with their relative frequencies.
        kills: number of faults.
        seed: the seed.
    """
    rng = random.Random(f"chaos-{seed}")  # noqa: S311 - no secret
    names = sorted(weights)
    rng.shuffle(names)
    more = rng.choices(names, [weights[name] for name in names], k=max(kills - len(names), 0))
    kinds = [*names, *more][:kills]
    parts = list(range(kills))
    rng.shuffle(kinds)
    rng.shuffle(parts)
    return [
        FaultChoice(
            kind=kind,
            fraction=(part + rng.random()) / kills,
            victim=rng.random(),
            hold_s=rng.uniform(_SHORTEST_HOLD_S, _LONGEST_HOLD_S),
            retry_for_s=rng.choice(RETRY_FOR_S),
        )
        for kind, part in zip(kinds, parts, strict=True)
    ]


def pick_target(victim: float, among: list[int]) -> int | None:
    """Return the element of ``among`` selected by ``victim``; None if there is none."""
    return among[min(int(victim * len(among)), len(among) - 1)] if among else None
