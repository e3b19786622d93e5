"""Public reports of values that loaders change or refuse, though PostgreSQL can hold them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest

from restore.tests.cells import Refused, check

if TYPE_CHECKING:
    from restore.tests.target import Target

REFUSED = Refused()


def test_instants_as_others_write_them(target: Target) -> None:
    """duckdb/duckdb#22103, MonetDB/MonetDB#4020, OISF/suricata#1439: offsets and leap seconds."""
    day = "2026-04-29"
    check(
        target,
        {
            # An offset is not dropped: PostgreSQL alone would keep 14:38.
            "timestamp": [
                (f'"{day}T14:38:00+02:00"', f"{day} 12:38:00"),
                (f'"{day} 14:38:00"', f"{day} 14:38:00"),
            ],
            "timestamptz": [
                (f'"{day}T14:38:00.640529+0300"', f"{day} 11:38:00.640529+00"),
                (f'"{day}T00:46:60+01:00"', "2026-04-28 23:47:00+00"),
                (f'"{day}T24:00:00Z"', "2026-04-30 00:00:00+00"),
                (f'"{day}T14:38:00.123456789Z"', REFUSED),
                (f'"{day}T14:38:00.1234567Z"', REFUSED),
                (f'"{day}T14:38:00.1234560Z"', f"{day} 14:38:00.123456+00"),
                (f'"{day} 14:38:00 America/New_York"', f"{day} 18:38:00+00"),
            ],
        },
    )


def test_intervals_as_others_write_them(target: Target) -> None:
    """beekeeper-studio/beekeeper-studio#1442: an interval is written as another one."""
    check(
        target,
        {
            "interval": [
                ('"00:10:00"', "00:10:00"),
                ('"1 day, 2:00:00"', "1 day 02:00:00"),  # Python
                ('"P1DT02H00M00S"', "1 day 02:00:00"),  # Django
                ('{"hours": 1, "milliseconds": 1.5}', "01:00:00.0015"),  # node-postgres
                ('"1 mon -1 day"', "1 mon -1 days"),
                ('"00:00:00.0000001"', REFUSED),
            ],
        },
    )


def test_documents_with_an_encoding_of_their_own(target: Target) -> None:
    """tada/pljava#205: XML that declares another encoding than the database has."""
    try:
        target.conn.execute("SELECT '<a/>'::xml")
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this server is built without libxml")
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?><a>é€</a>'
    check(
        target,
        {
            "xml": [
                (json.dumps(latin), latin),
                ('"<a>é</a>"', "<a>é</a>"),
                ('"<a>"', Refused("2200N")),
            ],
        },
    )
