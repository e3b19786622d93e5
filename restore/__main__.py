"""``python -m restore``: the command ``db-restore-optimized``."""

from __future__ import annotations

if __name__ == "__main__":
    from restore.safe_path import leave_out_current_folder

    leave_out_current_folder()

    from restore.startup import main

    raise SystemExit(main())
