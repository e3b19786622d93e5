"""What each technique gives: the same restore, from the naive to the full one, step by step.

Each step is an engine: the restorer with the techniques left out that come later. All run in one
run, in balanced order, so a step's gain is the ratio of medians that were measured side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.engines import registry as engines
from harness.engines.registry import Engine
from harness.model.record import REFERENCE


@dataclass(frozen=True, slots=True)
class Step:
    """A rung of the ladder: its name, what it adds to the one before, the restorer's arguments."""

    name: str
    adds: str
    arguments: tuple[str, ...] = ()

    @property
    def engine(self) -> str:
        """What it is called in a run."""
        return f"ablate-{self.name}" if self.arguments else self.name


def _without(*techniques: str, keep_indexes: bool = True) -> tuple[str, ...]:
    """Return the arguments of a step in one process."""
    left_out = (f"--without={','.join(techniques)}",) if techniques else ()
    return (*left_out, *(("--keep-indexes",) if keep_indexes else ()), "--jobs=1")


STEPS = (
    Step(
        "bare",
        "our checks and rejects; each file whole, one INSERT after the other",
        _without("batches", "streaming", "typed", "copy", "binary", "native"),
    ),
    Step("batches", "chunked batches", _without("streaming", "typed", "copy", "binary", "native")),
    Step("streaming", "streaming parse", _without("typed", "copy", "binary", "native")),
    Step("typed", "typed decode", _without("copy", "binary", "native")),
    Step("copy", "COPY for INSERT", _without("binary", "native")),
    Step("binary", "binary for text", _without("native")),
    Step("native", "C for Python, where it is built", _without()),
    Step("aside", "constraints aside", _without(keep_indexes=False)),
    Step("workers", "workers: --jobs", ("--jobs={jobs}",)),
)


def ladder() -> tuple[Engine, ...]:
    """Return the engines of all steps, the naive restorer first."""
    restore = engines.named("restore")
    return (
        engines.named(REFERENCE),
        *(
            Engine(
                name=step.engine,
                template=(*_without_jobs(restore), *step.arguments),
                keeps_rejects=restore.keeps_rejects,
                limitations=restore.limitations,
            )
            for step in STEPS
        ),
    )


def _without_jobs(restore: Engine) -> tuple[str, ...]:
    return tuple(part for part in restore.template if not part.startswith("--jobs"))
