"""How many examples Hypothesis draws for a property: few by default, many in the scheduled run."""

from __future__ import annotations

import os

# The variable asks for examples that differ from run to run; these are worth their time.
_TIMES = 10 if "RESTOREBENCH_OTHER_EXAMPLES" in os.environ else 1


def examples(count: int) -> int:
    """Return the number of examples where ``count`` are drawn by default."""
    return count * _TIMES
