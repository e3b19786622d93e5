"""Files of pytest-benchmark: written from a run, compared, and judged by the gate.

The rules that the format leaves open: a benchmark that is missing or was renamed fails, one that
failed is listed, and times of different hosts are not compared.
"""

from harness.gate.pytest_files.convert import from_run
from harness.gate.pytest_files.file import encode

__all__ = ["encode", "from_run"]
