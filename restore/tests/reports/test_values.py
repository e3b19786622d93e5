"""Public reports of values that loaders change or refuse, though PostgreSQL can hold them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest

from restore.tests.support.cells import Refused, check

if TYPE_CHECKING:
    from restore.tests.support.target import Target

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


@pytest.mark.xfail(strict=True, reason="years of more than four digits are read as time zones")
def test_years_as_javascript_writes_them(target: Target) -> None:
    """immich-app/immich#6457, bendrucker/postgres-date#5: years beyond 9999 and before 1."""
    check(
        target,
        {
            "timestamptz": [
                ('"+012344-12-31T05:00:00.000Z"', "12344-12-31 05:00:00+00"),
                ('"0044-03-15 00:00:00+00 BC"', "0044-03-15 00:00:00+00 BC"),
                ('"20000-01-01 00:00:00+00"', "20000-01-01 00:00:00+00"),
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
                ('{"seconds": 0.1234567}', REFUSED),
                ('"1.5 us"', REFUSED),
                ('"1.5 ms"', "00:00:00.0015"),
            ],
            "interval(2)": [
                ('{"milliseconds": 120}', "00:00:00.12"),
                ('{"milliseconds": 123}', REFUSED),
            ],
        },
    )


def test_intervals_of_other_fields_than_the_column_keeps(target: Target) -> None:
    """mathesar-foundation/mathesar#1067: columns that keep some fields of an interval."""
    has_infinity = target.conn.info.server_version >= 170_000
    check(
        target,
        {
            "interval year to month": [
                ('"1 year 2 months"', "1 year 2 mons"),
                ('"1 year 2 days"', REFUSED),
            ],
            "interval day to hour": [
                ('"1 day 02:00:00"', "1 day 02:00:00"),
                ('"1 day 02:30:00"', REFUSED),
                ('{"days": 1, "hours": 2}', "1 day 02:00:00"),
                ('{"days": 1, "hours": 2, "seconds": 3}', REFUSED),
                ('"infinity"', "infinity" if has_infinity else REFUSED),
            ],
            "interval day": [('"3 days"', "3 days"), ('"1.5 days"', REFUSED)],
            "interval year": [('"-2 years"', "-2 years"), ('"1 year 1 mon"', REFUSED)],
        },
    )


def test_composites_of_which_an_attribute_was_dropped(target: Target) -> None:
    """Snowflake-Labs/pg_lake#499, jackc/pgx#1490: a composite type with a dropped attribute."""
    target.conn.execute(
        "CREATE TYPE slot AS (junk int, label text, n int); ALTER TYPE slot DROP ATTRIBUTE junk;"
        " CREATE TABLE past (a int, b int, c text); ALTER TABLE past DROP COLUMN b"
    )
    check(
        target,
        {
            "slot": [('{"label": "open", "n": 3}', "(open,3)"), ("null", None)],
            "past[]": [('[{"a": 1, "c": "x"}, null]', '{"(1,x)",NULL}')],
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
