"""``python -m restore``, and what the script ``db-restore-optimized`` calls."""

from __future__ import annotations

import gc


def main() -> int:
    """Run the command; signals are handled before anything else is imported."""
    from restore.startup import install_early_signal_handlers, skip_openssl  # noqa: PLC0415

    install_early_signal_handlers()
    gc.disable()  # until ``run``: what modules make stays, so to look through it is a waste
    skip_openssl()
    from restore.cli.main import start  # noqa: PLC0415 - the handlers come first

    return start()


if __name__ == "__main__":
    from restore.safe_path import leave_out_current_folder

    leave_out_current_folder()
    raise SystemExit(main())
