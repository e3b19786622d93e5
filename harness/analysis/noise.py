"""Decides which other activity was enough to change a trial's figures; pure.

Such a trial is repeated, and both are recorded (``bench``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.model.record import Noise

# Shares of the machine's cores that others may use before figures change by a relevant amount
# (``verdicts.MIN_EFFECT``). Stolen time is taken from running processes, which are mostly ours.
OTHERS_SHARE = 0.05
STOLEN_SHARE = 0.02
SWAPPED_BYTES = 1 << 20
CLOCK_SHARE = 0.10


def disturbances(noise: Noise | None, cores: int) -> tuple[str, ...]:
    """Describe the noise that may have changed a trial's figures; empty if it was quiet.

    The load average, the page cache and checkpoints are recorded but do not count: ``other_cores``
    is better than the first, and the others are equal in every trial of an engine.
    """
    if noise is None:
        return ()
    found = []
    if noise.other_cores is not None and noise.other_cores > OTHERS_SHARE * cores:
        found.append(f"other processes kept {noise.other_cores:.2f} cores busy")
    if noise.stolen_cores is not None and noise.stolen_cores > STOLEN_SHARE * cores:
        found.append(f"the host took {noise.stolen_cores:.2f} cores away")
    if noise.swapped_bytes is not None and noise.swapped_bytes > SWAPPED_BYTES:
        found.append(f"{noise.swapped_bytes / 1e6:.0f} MB were swapped")
    if noise.mhz and noise.mhz_after and abs(noise.mhz_after / noise.mhz - 1) > CLOCK_SHARE:
        found.append(f"the clock went from {noise.mhz:.0f} to {noise.mhz_after:.0f} MHz")
    return tuple(found)
