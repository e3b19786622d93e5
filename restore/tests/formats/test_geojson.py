"""GeoJSON as ogr2ogr and PostGIS write it: collections, and a feature a line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from restore.source.formats.format import FormatError, TableColumns
from restore.source.formats.geojson import FORMAT
from restore.tests.formats.reading import found_in
from restore.tests.formats.tables import rows

POINT = {"type": "Point", "coordinates": [1.5, 2]}
FEATURES = [
    {"type": "Feature", "id": 7, "properties": {"name": "a\nb"}, "geometry": POINT},
    {"type": "Feature", "id": 8, "properties": None, "geometry": None},
]
CRS84 = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
OTHER = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}


def collection(**members: Any) -> bytes:
    return json.dumps({"type": "FeatureCollection", **members}, indent=1).encode()


def places(name: str, kind: str) -> dict[str, TableColumns]:
    return {"t": TableColumns(("id", "name", name), ("id",), ("integer", "text", kind))}


PLAIN = collection(name="places", crs=CRS84, features=FEATURES)
LINES = "".join(f"{json.dumps(each)}\n" for each in FEATURES).encode()
EACH = pytest.mark.parametrize("data", [PLAIN, LINES], ids=["collection", "lines"])


@EACH
def test_properties_are_columns(data: bytes) -> None:
    assert FORMAT.detect(data)
    assert rows(FORMAT, data, places("geometry", "jsonb")) == [
        (None, {"id": 7, "name": "a\nb", "geometry": POINT}),
        (None, {"id": 8, "geometry": None}),
    ]


@EACH
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("area", "geometry"),
        ("area", "geometry(Point,4326)"),
        ("geom", "geography"),
        ("geom", "text"),
    ],
)
def test_a_geometry_is_text_where_it_is_no_document(data: bytes, name: str, kind: str) -> None:
    (_, first), (_, second) = rows(FORMAT, data, places(name, kind))

    assert (json.loads(first[name]), second[name]) == (POINT, None)


def test_another_system_of_coordinates_goes_into_each_geometry() -> None:
    data = collection(crs=OTHER, features=FEATURES)
    (_, first), _ = rows(FORMAT, data, places("geom", "geometry"))

    assert json.loads(first["geom"]) == POINT | {"crs": OTHER}


def test_another_system_that_is_named_late_is_refused() -> None:
    with pytest.raises(FormatError, match="EPSG:4326"):
        found_in(FORMAT, collection(features=FEATURES, crs=OTHER))


def test_a_property_has_the_first_word() -> None:
    feature = FEATURES[0] | {"properties": {"id": 1, "geometry": "x"}}
    data = collection(features=[feature])

    assert rows(FORMAT, data)[0][1] == {"id": 1, "geometry": "x"}


def test_a_damaged_feature_is_passed_on() -> None:
    data = PLAIN.replace(b'"a\\nb"', b"oops")

    assert [b"oops" in one.data for one in found_in(FORMAT, data)] == [True, False]


@EACH
def test_a_file_that_is_cut_off_says_so(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"truncated|damaged"):
        found_in(FORMAT, data[:-15])


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (PLAIN[:300], True),
        (LINES[:60], True),
        (b"", False),
        (b"[]", False),
        (b'{"type": "FeatureCollection"}', False),
        (b'{"type": "Feature", "id": 1}', False),
        (b'{"type": "Feature", "properties": {}, "geometry": null, "name": "x"}', False),
        (b'[{"id": 1, "area": {"type": "Feature", "properties": {}}}]', False),
        (json.dumps(POINT).encode(), False),
    ],
)
def test_only_features_are_recognised(start: bytes, *, expected: bool) -> None:
    assert FORMAT.detect(start) is expected
