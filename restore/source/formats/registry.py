"""The formats of export that are known, in the order in which they are looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restore.errors import BackupError
from restore.source.formats import (
    airtable,
    clickhouse,
    couchdb,
    datasette,
    debezium,
    django,
    dms,
    dotnet,
    dynamodb,
    elasticsearch,
    firebase,
    firestore,
    geojson,
    json5,
    jsonapi,
    mongo,
    pages,
    pandas,
    phpmyadmin,
    psql,
    result_sets,
    strapi,
    unnamed,
)

if TYPE_CHECKING:
    from restore.source.formats.format import Format

FORMATS: tuple[Format, ...] = (
    mongo.BSON,
    mongo.SHELL,
    psql.FRAMED,
    psql.CSV,
    psql.TABLE,
    phpmyadmin.OLD,
    json5.FORMAT,
    json5.JQ_STREAM,
    unnamed.FORMAT,
    phpmyadmin.FORMAT,
    django.FORMAT,
    geojson.FORMAT,
    jsonapi.FORMAT,
    *strapi.FORMATS,
    airtable.FORMAT,
    dotnet.FORMAT,
    clickhouse.FORMAT,
    pandas.SPLIT,
    pandas.TABLE,
    result_sets.ORACLE,
    result_sets.RQLITE,
    datasette.FORMAT,
    dynamodb.SCAN,
    dynamodb.FORMAT,
    elasticsearch.SEARCH,
    elasticsearch.BULK,
    elasticsearch.FORMAT,
    couchdb.FORMAT,
    couchdb.DOCUMENTS,
    debezium.FORMAT,
    debezium.FLAT,
    dms.FORMAT,
    firestore.FORMAT,
    firestore.DOCUMENTS,
    pages.FORMAT,
    pandas.BY_INDEX,
    pandas.BY_COLUMN,
    mongo.FORMAT,
    firebase.FORMAT,
    firebase.TABLES,
    psql.FORMAT,
)


def format_named(name: str) -> Format:
    """Return the format of a name that ``--format`` takes.

    Raises:
        BackupError: there is none.
    """
    for each in FORMATS:
        if each.name == name:
            return each
    names = ", ".join(sorted({each.name for each in FORMATS}))
    raise BackupError(f"--format {name}: the formats are records, {names}", options=("format",))
