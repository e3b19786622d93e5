"""An engine that starts anew whenever it is called again, and then misbehaves as it is told.

restarting_engine.py BACKUP DSN REJECTS [BEHAVIOUR]

It misbehaves only where it has been stopped before: a restore that nothing befell is right.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg

DELETE = 'DELETE FROM "AuditEvent" WHERE ctid = (SELECT min(ctid) FROM "AuditEvent")'


def main(backup: str, dsn: str, rejects: str, behaviour: str = "") -> None:
    """Wait until nobody else is at it, restore from the beginning, then misbehave."""
    begun = Path(f"{rejects}.begun")
    stopped_before = begun.exists()
    with begun.open("w") as lock:
        # A child that outlives this process holds it on.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if behaviour == "gives-up" and stopped_before:
            sys.exit(2)
        shutil.rmtree(rejects, ignore_errors=True)
        run(lock.fileno(), "repair", "--empty", "--dsn", dsn)
        restore = (backup, "--dsn", dsn, "--rejects", rejects, "--clean", "--jobs=2")
        code = run(lock.fileno(), *restore)
        if stopped_before:
            misbehave(behaviour, dsn, Path(rejects))
    sys.exit(code)


def run(lock: int, *arguments: str) -> int:
    """Call the restorer, and end as it does where it does not end well."""
    command = [sys.executable, "-P", "-m", "restore", *arguments]
    code = subprocess.run(command, check=False, pass_fds=[lock]).returncode
    if code not in (0, 3):
        sys.exit(1)
    return code


def misbehave(behaviour: str, dsn: str, rejects: Path) -> None:
    """Do what was asked for beside restoring."""
    if behaviour == "loses":
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(DELETE)
    if behaviour == "doubles":
        path = max(rejects.glob("*.jsonl"), key=lambda path: path.stat().st_size)
        path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])
    if behaviour == "leaves":
        sleeper = [sys.executable, "-c", "import time; time.sleep(600)", str(rejects)]
        subprocess.Popen(sleeper, start_new_session=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
