"""The script ``db-restore-benchmark``, which says what is missing if a package is."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command."""
    try:
        from harness.cli.app import main as run  # noqa: PLC0415 - it may not be there

        return run()
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"db-restore-benchmark: cannot start: {error.name} is not installed; install the extra"
            " with python -m pip install 'restorebench[harness]'\n"
        )
        return 2
