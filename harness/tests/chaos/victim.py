"""Stands for a restorer: a process with a worker and a session, which says what becomes of them.

victim.py DSN
"""

from __future__ import annotations

import subprocess
import sys

import psycopg

SLEEPER = "import time; time.sleep(600)"


def main(dsn: str) -> None:
    """Say the ids of worker and session, wait for ever, and exit with 1 if the session ends."""
    worker = subprocess.Popen([sys.executable, "-c", SLEEPER])
    try:
        with psycopg.connect(dsn, autocommit=True) as connection:
            sys.stdout.write(f"{worker.pid} {connection.info.backend_pid}\n")
            sys.stdout.flush()
            connection.execute("SELECT pg_sleep(600)")
    except psycopg.OperationalError as error:
        sys.stdout.write(f"lost {error.sqlstate}: {error}\n")
        sys.exit(1)
    finally:
        worker.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
