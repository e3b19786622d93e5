"""The ablation: the engines from the naive restorer to the full one, and what each adds.

All run in one run, in balanced order, so a step's gain is the ratio of medians that were measured
side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.engines import registry
from harness.model.record import REFERENCE

if TYPE_CHECKING:
    from harness.engines.engine import Engine


@dataclass(frozen=True, slots=True)
class Step:
    """A step: the engine that takes it, and the technique that it adds to the one before."""

    engine: str
    adds: str


STEPS = (
    Step(REFERENCE, "the naive restorer: each file whole, one insert"),
    Step("step-batches", "chunked batches"),
    Step("step-streaming", "streaming parse"),
    Step("step-copy-text", "COPY for INSERT"),
    Step("step-copy-binary", "typed decoding, binary COPY"),
    Step("step-constraints", "constraints dropped and recreated"),
    Step("restore", "C, --jobs, checkpoints, rejects"),
)


def ladder() -> tuple[Engine, ...]:
    """Return the engines of all steps, the naive restorer first."""
    return tuple(registry.named(step.engine) for step in STEPS)
