"""Says what of all that went on beside a trial is enough to move its figures; pure.

Such a trial is made again, and both are kept (``bench``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.model.record import Noise

# Of the machine's cores, what others may take before a figure can move by as much as matters
# (``verdicts.MIN_EFFECT``). What the host steals is taken from whoever runs, which is mostly us.
OTHERS_SHARE = 0.05
STOLEN_SHARE = 0.02
SWAPPED_BYTES = 1 << 20
CLOCK_SHARE = 0.10


def disturbances(of: Noise | None, cores: int) -> tuple[str, ...]:
    """Say what of a trial's noise can have moved its figures; nothing where it was quiet.

    The load average, the page cache and checkpoints are told but disturb nothing here: the first
    says what the third field says better, and the others are the same in every trial of an engine.
    """
    if of is None:
        return ()
    found = []
    if of.other_cores is not None and of.other_cores > OTHERS_SHARE * cores:
        found.append(f"other processes kept {of.other_cores:.2f} cores busy")
    if of.stolen_cores is not None and of.stolen_cores > STOLEN_SHARE * cores:
        found.append(f"the host took {of.stolen_cores:.2f} cores away")
    if of.swapped_bytes is not None and of.swapped_bytes > SWAPPED_BYTES:
        found.append(f"{of.swapped_bytes / 1e6:.0f} MB were swapped")
    if of.mhz and of.mhz_after and abs(of.mhz_after / of.mhz - 1) > CLOCK_SHARE:
        found.append(f"the clock went from {of.mhz:.0f} to {of.mhz_after:.0f} MHz")
    return tuple(found)
