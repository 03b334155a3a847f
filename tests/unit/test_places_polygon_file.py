"""The user's GeoJSON: which properties say what a feature is, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.polygon_files import collection, feature, square

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.places import polygon_file
from asyncgen.places.polygon_file import load_divisions

BOX = square(10, 48, 12, 50)


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param({"iso_3166_2": "DE-BY", "name": "Bayern", "iso_a2": "DE"}, id="Natural Earth"),
        pytest.param({"ISO_3166_2": "DE-BY"}, id="capital letters"),
        pytest.param({"shapeISO": "DE-BY", "shapeName": "Bavaria", "shapeGroup": "DEU"}, id="geoBoundaries"),
        pytest.param({"ISO_1": "DE-BY", "GID_0": "DEU", "NAME_1": "Bayern"}, id="GADM"),
        pytest.param({"ISO_1": "NA", "GID_0": "DEU", "NAME_1": "Bayern"}, id="GADM without the code"),
        pytest.param(
            {"iso_3166_2": "DE-X01~", "name": "Bavaria", "admin": "Germany"}, id="a code of Natural Earth's own"
        ),
        pytest.param({"iso_3166_2": None, "name": " Bayern ", "iso_a2": "DE"}, id="null for a code"),
    ],
)
def test_the_division_is_known_by_its_code_or_by_its_name_in_its_country(
    tmp_path: Path, properties: dict[str, Json]
) -> None:
    divisions = load_divisions(collection(tmp_path / "a.json", feature([BOX], **properties)))
    assert divisions.shapes.inside(49, 11) == "DE-BY"
    assert divisions.unknown == ()


def test_a_department_counts_for_its_region(tmp_path: Path) -> None:
    divisions = load_divisions(collection(tmp_path / "a.json", feature([BOX], iso_3166_2="FR-69")))
    assert divisions.shapes.inside(49, 11) == "FR-ARA"


def test_what_iso_does_not_know_is_left_out_and_named(tmp_path: Path) -> None:
    known, other = feature([BOX], iso_3166_2="DE-BY"), square(20, 0, 21, 1)
    nowhere = feature([other], name="Lake Nowhere", admin="Germany")
    divisions = load_divisions(collection(tmp_path / "a.json", nowhere, known, feature([other], iso_3166_2="DE-ZZ")))
    assert divisions.unknown == ("Lake Nowhere", "DE-ZZ")
    assert divisions.shapes.inside(0.5, 20.5) is None


def test_a_multipolygon_has_all_its_parts_and_its_holes(tmp_path: Path) -> None:
    hole, island = square(10.5, 48.5, 11.5, 49.5), square(20, 0, 21, 1)
    shapes = load_divisions(
        collection(tmp_path / "a.json", feature([[BOX, hole], [island]], "MultiPolygon", iso_3166_2="DE-BY"))
    ).shapes
    assert [shapes.inside(48.2, 11), shapes.inside(0.5, 20.5)] == ["DE-BY", "DE-BY"]
    assert shapes.inside(49, 11) is None


def test_a_ring_that_crosses_itself_has_both_its_areas(tmp_path: Path) -> None:
    bow = [[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]
    shapes = load_divisions(collection(tmp_path / "a.json", feature([bow], iso_3166_2="DE-BY"))).shapes
    assert [shapes.inside(1, 0.2), shapes.inside(1, 1.8)] == ["DE-BY", "DE-BY"]
    assert shapes.inside(0.2, 1) is None


@pytest.mark.parametrize("far", [-178.0, 182.0])
def test_a_polygon_across_180_is_cut_there(tmp_path: Path, far: float) -> None:
    ring = [[178, -20], [far, -20], [far, -10], [178, -10], [178, -20]]
    shapes = load_divisions(collection(tmp_path / "a.json", feature([ring], iso_3166_2="FJ-N"))).shapes
    assert [shapes.inside(-15, lon) for lon in (179, 180, -180, -179)] == ["FJ-N"] * 4
    assert [shapes.inside(-15, lon) for lon in (177, 0, -177)] == [None] * 3
    assert shapes.nearest(-15, -177.9, within=15) == "FJ-N"


def test_the_smaller_of_two_polygons_lies_on_top(tmp_path: Path) -> None:
    city = feature([square(11, 49, 11.1, 49.1)], iso_3166_2="DE-BE")
    shapes = load_divisions(collection(tmp_path / "a.json", feature([BOX], iso_3166_2="DE-BB"), city)).shapes
    assert [shapes.inside(49.05, 11.05), shapes.inside(49.5, 11.5)] == ["DE-BE", "DE-BB"]


def good(**changes: Json) -> Json:
    return {**feature([BOX], iso_3166_2="DE-BY"), **changes}


def ring(*points: Json) -> Json:
    return feature([list(points)], iso_3166_2="DE-BY")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        pytest.param("text", "feature 1 is no GeoJSON Feature", id="no object"),
        pytest.param(good(properties=None), "feature 1 is no GeoJSON Feature", id="no properties"),
        pytest.param(good(geometry=None), "feature 1 has the geometry None: only Polygon", id="no geometry"),
        pytest.param(
            feature([0, 0], "Point", iso_3166_2="DE-BY"), "has the geometry Point: only Polygon", id="a point"
        ),
        pytest.param(feature([BOX], population=5), "says neither its code .* add iso_3166_2", id="no name"),
        pytest.param(feature([BOX], name="Bayern"), "says neither its code", id="a name without its country"),
        pytest.param(feature("x", iso_3166_2="DE-BY"), "coordinates that are no lists of rings", id="a text for rings"),
        pytest.param(feature(7, "MultiPolygon", iso_3166_2="DE-BY"), "no lists of rings", id="a number for polygons"),
        pytest.param(ring([0, 0], [1], [1, 1], [0, 0]), r"no list of \[longitude, latitude\]", id="half a point"),
        pytest.param(ring([0, 0], [1, None], [1, 1], [0, 0]), "no list of", id="NaN, which JSON has as null"),
        pytest.param(ring([0, 0], [1, {}], [1, 1], [0, 0]), "no list of", id="an object for a number"),
        pytest.param(
            ring([39.9, 116.4], [40, 116.4], [40, 117]), "has the latitude 116.4: GeoJSON wants", id="lat, lon"
        ),
        pytest.param(ring([5e5, 45], [5e5, 46], [6e5, 46]), "longitude beyond 360°.*EPSG:4326", id="metres"),
    ],
)
def test_a_bad_feature_is_named_with_its_number_and_the_fix(tmp_path: Path, bad: Json, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_divisions(collection(tmp_path / "a.json", good(), bad))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x00\x01 no json", "is not JSON"),
        (b'{"type": "Feature"}', "is no FeatureCollection"),
        (b"[1, 2]", "is no FeatureCollection"),
        (b'{"features": {}}', "is no FeatureCollection"),
        (b'{"features": []}', "no feature is a first-level division"),
        (b'{"features": [{"properties": {"name": "a"}, "geometry": {"coordinates": [[[NaN, 1]]]}}]}', "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_file_that_is_no_geojson_of_divisions_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        load_divisions(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.json", tmp_path):
        with pytest.raises(InputError, match=r"region\.polygons must be a GeoJSON file"):
            load_divisions(path)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(polygon_file.MAX_BYTES + 1)  # no block of it is on the disk
    with pytest.raises(InputError, match="has 256 MB, more than 256: simplify"):
        load_divisions(path)
