"""Runs a command of Django on the database of a DSN: manage.py DSN COMMAND [ARGUMENT ...]."""

from __future__ import annotations

import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from psycopg.conninfo import conninfo_to_dict


def configure(dsn: str) -> None:
    """Set what `django-admin startproject` does not set itself: the database and the app."""
    words = conninfo_to_dict(dsn)
    database = {name.upper(): words.pop(name) for name in ("host", "port", "user") if name in words}
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": words.pop("dbname"),
                "OPTIONS": words,
                **database,
            }
        },
        INSTALLED_APPS=["django.contrib.postgres", "harness.engines.peers.django"],
        USE_TZ=False,  # a model has times with and without a zone; both are UTC
        TIME_ZONE="UTC",
    )


if __name__ == "__main__":
    configure(sys.argv.pop(1))
    execute_from_command_line()
