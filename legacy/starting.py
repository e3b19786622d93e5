"""The script ``db-restore``, which says what is missing if SQLAlchemy is."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command."""
    try:
        from legacy.__main__ import main as run  # noqa: PLC0415 - it may not be there

        return run()
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"db-restore: cannot start: {error.name} is not installed; install the extra with"
            " python -m pip install 'restorebench[legacy]'\n"
        )
        return 2
