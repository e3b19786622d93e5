"""Dataset generator: backups of a scenario with their ground truth, and optional damage.

The same arguments make the same bytes, independent of the number of processes.
"""

from harness.generate.dataset import GENERATOR_VERSION, cached, generate, is_complete
from harness.generate.spec import DatasetSpec

__all__ = [
    "GENERATOR_VERSION",
    "DatasetSpec",
    "cached",
    "generate",
    "is_complete",
]
