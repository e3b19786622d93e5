"""GeoJSON: features in a collection, or one a line; properties are columns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from restore.source.formats.cursor import Cursor, peek_head, top_records
from restore.source.formats.format import FormatError, FoundRecord
from restore.source.formats.paths import first_object, visit
from restore.source.formats.rows import columns_of, encode, one_line, with_key
from restore.source.json_values import DECODE_ERRORS, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from restore.source.buffer import ByteSource
    from restore.source.formats.format import TableColumns
    from restore.source.formats.rows import Fields
    from restore.source.records import RawRecord

_COLLECTION, _FEATURE = b'"FeatureCollection"', b'"Feature"'
_FEATURE_KEYS = frozenset({"type", "id", "properties", "geometry", "bbox"})
_SPATIAL_TYPES = frozenset({"geometry", "geography"})
_DOCUMENT_TYPES = frozenset({"json", "jsonb"})
_GEOMETRY_NAMES = (
    *("geometry", "geom", "the_geom", "wkb_geometry", "geog", "geography", "shape"),
    *("location", "way"),
)
# The only system of GeoJSON since RFC 7946, as older files name it.
_USUAL_CRS = re.compile(rb"OGC:[\d.]*:?CRS84|EPSG:[\d.]*:?4326")
_USUAL = "convert it with `ogr2ogr -t_srs EPSG:4326 -lco RFC7946=YES`"
_NULL = msgspec.Raw(b"null")


class _GeoJson:
    name = "geojson"
    title = "GeoJSON"
    recognised_by = 'an object with `"type": "FeatureCollection"` and `features`, or features'
    wrapper = frozenset({"type", "properties", "geometry"})

    def detect(self, start: bytes) -> bool:
        fields = first_object(start)
        kind = fields.get("type", b"").strip()
        if kind == _COLLECTION:
            return not start.startswith(b"[") and "features" in fields
        return kind == _FEATURE and {"properties"} <= fields.keys() <= _FEATURE_KEYS

    def records(
        self, stream: ByteSource, tables: Mapping[str, TableColumns] | None
    ) -> Iterator[FoundRecord]:
        columns = columns_of(tables)
        column = _geometry_column(columns)
        for record, crs in _features(stream):
            try:
                row = encode(_row(values_of(record.raw), crs, column, columns))
            except DECODE_ERRORS:
                row = record.raw
            else:
                row = one_line(row)
            yield FoundRecord(None, row, record.offset)


FORMAT = _GeoJson()


def _features(stream: ByteSource) -> Iterator[tuple[RawRecord, bytes]]:
    """Yield each feature, and the coordinate system that its file names; empty: the usual one.

    Raises:
        FormatError: the system is named behind the features.
    """
    start, whole = peek_head(stream)
    if first_object(start).get("type", b"").strip() != _COLLECTION:
        yield from ((record, b"") for record in top_records(whole))
        return
    cursor = Cursor(whole)
    crs, is_late = b"", False
    for path in visit(cursor, (("crs",), ("features",))):
        if path == ("features",):
            is_late = True
            yield from ((record, crs) for record in cursor.records())
            continue
        crs = cursor.value()
        if crs == b"null" or _USUAL_CRS.search(crs):
            crs = b""
        elif is_late:
            raise FormatError(f"its coordinates are of another system, named at its end; {_USUAL}")
    cursor.end()


def _geometry_column(columns: TableColumns | None) -> tuple[str, str]:
    """Return the name and the type of the column that takes geometries."""
    names = dict(zip(columns.names, columns.types, strict=False)) if columns else {}
    spatial = [name for name, kind in names.items() if kind.partition("(")[0] in _SPATIAL_TYPES]
    if len(spatial) == 1:
        return spatial[0], names[spatial[0]]
    for name in _GEOMETRY_NAMES:
        if columns and name in columns.names:
            return name, names.get(name, "")
    return "geometry", ""


def _row(
    feature: Fields, crs: bytes, column: tuple[str, str], columns: TableColumns | None
) -> Fields:
    properties = feature.get("properties", _NULL)
    row = {} if properties == _NULL else values_of(properties)
    name, kind = column
    geometry = bytes(feature.get("geometry", _NULL))
    if name not in row:
        if crs and geometry != b"null":
            geometry = geometry.rstrip()[:-1] + b',"crs":' + crs + b"}"
        if kind and kind not in _DOCUMENT_TYPES and geometry != b"null":
            geometry = encode(geometry.decode())
        row[name] = msgspec.Raw(geometry)
    if "id" in feature and "id" not in row:
        row = with_key(row | {"id": feature["id"]}, "id", columns)
    return row
