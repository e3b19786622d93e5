"""Files of pytest-benchmark: a run is written as one, and two of them are compared and judged.

For those whose CI has them. What that format leaves open is closed here: a benchmark that vanished
or was renamed fails, one that failed is named, and times of different hosts are not compared.
"""

from harness.gate.pytest_files.file import encode
from harness.gate.pytest_files.of_run import of_run

__all__ = ["encode", "of_run"]
