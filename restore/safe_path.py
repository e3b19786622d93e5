"""Keeps files of the current folder from being imported in the place of modules.

It is the first import of the command, and imports nothing that is not imported already.
"""

import os
import sys


def leave_out_current_folder() -> None:
    """Take the current folder, which ``python -m`` puts there, off the import path.

    It stays if this package lies in it.
    """
    here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120
    first = sys.path[0] if sys.path else None
    if first is None or sys.flags.safe_path or first not in {"", os.getcwd()}:  # noqa: PTH109
        return
    if os.path.realpath(first) != here:
        del sys.path[0]
