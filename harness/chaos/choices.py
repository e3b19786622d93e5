"""What is done to a restore, and when: drawn from the seed before anything starts."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# How long a restore reconnects by itself: it must come back either way.
RETRY_FOR_S = (0, 30)

# How long a fault lasts that ends by itself: shorter and longer than a server's restart.
_SHORTEST_HOLD_S, _LONGEST_HOLD_S = 0.3, 3.0


@dataclass(frozen=True, slots=True)
class Choice:
    """One fault.

    Attributes:
        kind: which (``kinds.KINDS``).
        fraction: when, of the duration of an undisturbed restore, 0 to 1.
        victim: which of those that it can hit, 0 to 1.
        hold_s: how long it lasts, where it ends by itself.
        retry_for_s: how long the restorer that it hits is told to reconnect by itself.
    """

    kind: str
    fraction: float
    victim: float
    hold_s: float
    retry_for_s: int


def draw(weights: Mapping[str, int], kills: int, seed: int) -> list[Choice]:
    """Draw the faults of a campaign: the same ones for the same arguments.

    Kinds are drawn by weight, but each once before any comes twice. Instants are stratified
    (one in each of ``kills`` equal parts of a restore, in random order), so that no phase is left
    out by chance.

    Args:
        weights: the kinds, and how often each is drawn beside the others.
        kills: how many.
        seed: another seed, other choices.
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
        Choice(
            kind=kind,
            fraction=(part + rng.random()) / kills,
            victim=rng.random(),
            hold_s=rng.uniform(_SHORTEST_HOLD_S, _LONGEST_HOLD_S),
            retry_for_s=rng.choice(RETRY_FOR_S),
        )
        for kind, part in zip(kinds, parts, strict=True)
    ]


def pick(victim: float, among: list[int]) -> int | None:
    """Return the one of ``among`` that ``victim`` means; None where there is none."""
    return among[min(int(victim * len(among)), len(among) - 1)] if among else None
