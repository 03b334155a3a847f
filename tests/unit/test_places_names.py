"""Names of countries and divisions mean exactly what atlases say."""

from __future__ import annotations

import hashlib
import re
from importlib import resources

import pytest
from support.place_goldens import DIFFERENT, NO_COUNTRY, NOT_THERE, golden_countries, golden_divisions

from asyncgen.places import names
from asyncgen.places.folding import folded
from asyncgen.places.iso import first_level, iso_countries
from asyncgen.places.names import (
    countries,
    country_name,
    division_name,
    divisions,
    same_divisions,
    suffixless,
)
from asyncgen.places.tables import aliases, country_names, division_names
from asyncgen.places.twins import EXTRA

# A plain name of several divisions, each reviewed: a city and the area around it, or two parts of one region.
AMBIGUOUS = {
    "AR": {"buenos aires", "布宜诺斯艾利斯"},
    "AZ": {"lankaran", "saki", "yevlax"},
    "HU": {"veszprem"},
    "PE": {"lima", "利马"},
    "TW": {"chiayi", "hsinchu", "嘉义", "嘉義", "新竹"},
}
AMBIGUOUS_COUNTRIES = {
    "sao martinho",
    "st martin",
    "svaty martin",
    "sveti martin",
    "свети мартин",
    "αγιοσ μαρτινοσ",
    "виргин аралдары",
    "виргинские о ва",
}
NAMES_SHA = "43da07c9269087ba"
DIVISIONS_SHA = "912b378c2d5d5e11"
# ISO's own name is also that of another division, which is meant.
ECLIPSED = {"BG-23", "ID-ML", "ID-PP", "KG-GO", "LA-VI", "MZ-MPM", "RS-25", "UZ-TO"}


@pytest.mark.parametrize(("name", "codes"), golden_countries())
def test_a_name_of_an_atlas_means_its_country(name, codes):
    assert countries(name) == codes


@pytest.mark.parametrize(("name", "codes"), golden_divisions())
def test_a_name_of_an_atlas_means_its_division(name, codes):
    assert divisions(name, min(codes)[:2]) == codes


@pytest.mark.parametrize("name", NO_COUNTRY)
def test_what_is_no_country_means_none(name):
    assert countries(name) == frozenset()


@pytest.mark.parametrize(("country", "name"), NOT_THERE)
def test_what_is_no_first_level_division_means_none(country, name):
    assert divisions(name, country) == frozenset()


@pytest.mark.parametrize(("country", "one", "other"), DIFFERENT)
def test_divisions_with_names_alike_are_different(country, one, other):
    first, second = divisions(one, country), divisions(other, country)
    assert first
    assert second
    assert not first & second


@pytest.mark.parametrize("country", sorted(first_level()))
def test_every_division_finds_itself_by_its_names_and_its_code(country):
    for division in (*first_level()[country], *EXTRA.get(country, ())):
        assert divisions(division.code, country) == {division.code}
        for name in (division.name, division_name(division.code)):
            assert division.code in divisions(name, country) or division.code in ECLIPSED, (name, division)


@pytest.mark.parametrize("country", sorted(first_level()))
def test_a_name_of_two_divisions_is_a_reviewed_one(country):
    divisions("", country)
    found = {name for name, codes in names._division_index(country).names.items() if len(codes) > 1}
    assert found == AMBIGUOUS.get(country, set())


def test_a_name_of_two_countries_is_a_reviewed_one():
    assert {name for name, codes in names._country_index().items() if len(codes) > 1} == AMBIGUOUS_COUNTRIES


def test_every_country_finds_itself_by_its_names_and_codes():
    for code, english in iso_countries().items():
        for name in (code, country_name(code), *english):
            assert code in countries(name), (code, name)


@pytest.mark.parametrize(
    ("country", "name"),
    [
        ("US", "Washington County"),
        ("US", "Washington Parish"),
        ("US", "County of Delaware"),
        ("CN", "河南县"),
        ("CN", "海南州"),
        ("CN", "河北区"),
        ("CN", "Hainan Prefecture"),
        ("AR", "Departamento Córdoba"),
        ("BY", "Minsk District"),
    ],
)
def test_a_lower_level_s_word_makes_another_name(country, name):
    assert divisions(name, country) == frozenset()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("加州", "US-CA"),
        ("纽约州", "US-NY"),
        ("海南省", "CN-HI"),
        ("西藏自治区", "CN-XZ"),
        ("福冈县", "JP-40"),
        ("彰化县", "TW-CHA"),
        ("County Cork", "IE-CO"),
        ("Cluj County", "RO-CJ"),
        ("Saint Andrew Parish", "JM-02"),
        ("Departamento de Lima", "PE-LIM"),
        ("Thành phố Đà Nẵng", "VN-DN"),
        ("TP. Đà Nẵng", "VN-DN"),
    ],
)
def test_the_first_level_s_word_is_left_out(name, code):
    assert divisions(name, code[:2]) == {code}


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("Turkey (Türkiye)", {"TR"}),
        ("Eswatini（Swaziland）", {"SZ"}),
        ("Turkey (Greece)", set()),
        ("France (Paris)", set()),
    ],
)
def test_a_country_s_other_name_may_stand_in_brackets(name, codes):
    assert countries(name) == codes


def test_the_code_of_a_division_counts_only_in_its_own_country():
    assert divisions("CA", "US") == {"US-CA"}
    assert divisions("CA", "CN") == frozenset()
    assert divisions("us-ca", "us") == {"US-CA"}


def test_a_country_that_is_also_a_division_knows_its_other_code():
    assert same_divisions("HK") == {"CN-HK"}
    assert same_divisions("CN-HK") == {"HK"}
    assert same_divisions("PR") == {"US-PR"}
    assert same_divisions("GL") == divisions("Greenland", "DK") == {"DK-GL"}
    assert same_divisions("FR") == frozenset()


def test_a_division_that_is_a_country_has_the_names_of_the_country():
    assert divisions("Гонконг", "CN") == {"CN-HK"}
    assert divisions("โปรตุเกส", "CN") == frozenset()


def test_names_for_display_are_english():
    assert country_name("KR") == "South Korea"
    assert country_name("XK") == "Kosovo"
    assert division_name("DE-BY") == "Bavaria"
    assert division_name("CN-NM") == "Inner Mongolia"
    assert division_name("IR-23") == "Tehran"
    assert (country_name("ZZ"), division_name("ZZ-1")) == ("ZZ", "ZZ-1")


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("Jiangsu Province", "jiangsu"),
        ("Province of Jujuy", "jujuy"),
        ("江苏省", "江苏"),
        ("内蒙古自治区", "内蒙古"),
        ("Oblast Moskva", "moskva"),
        ("Skåne län", "skane"),
        ("Estado de Jalisco", "jalisco"),
        ("Fukuoka-ken", "fukuoka"),
        ("福岡県", "福岡"),
        ("경기도", "경기"),
        ("State of the Amazon", "amazon"),
        ("Московская область", "московская"),
        ("Provincia di Trento", "trento"),
        ("Tỉnh Quảng Ninh", "quang ninh"),
        ("จังหวัดเชียงใหม่", "เชียงใหม่"),
        ("Kansas City", None),
        ("吉林市", None),
        ("Bavaria", None),
        ("Province", None),
        ("省", None),
        ("苏州", None),
        ("", None),
    ],
)
def test_one_division_word_is_taken_off_a_name(text, base):
    assert suffixless(text) == base


def test_every_own_alias_stands_for_a_code_that_exists():
    known = {division.code for table in (first_level(), EXTRA) for rows in table.values() for division in rows}
    assert {code for code in aliases() if len(code) > 2} <= known
    assert {code for code in aliases() if len(code) == 2} <= set(iso_countries()) | {"XK"}


def test_every_own_alias_means_what_it_says():
    for code, texts in aliases().items():
        for text in texts:
            found = countries(text) if len(code) == 2 else divisions(text, code[:2])
            assert code in found, (code, text)


def test_the_made_tables_are_sorted_folded_and_whole():
    assert list(country_names()) == sorted(country_names())
    assert list(division_names()) == sorted(division_names())
    assert len(country_names()) == 250
    assert len(division_names()) > 5000
    for known in country_names().values():
        assert all(folded(name) == name for name in known.names)
    assert all(re.fullmatch(r"[A-Z]{2}-[A-Z0-9]+", code) for code in division_names())


def test_the_made_tables_are_those_that_the_script_wrote():
    folder = resources.files("asyncgen.places").joinpath("data")
    for name, digest in (("names.tsv", NAMES_SHA), ("divisions.tsv", DIVISIONS_SHA)):
        assert hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest()[:16] == digest, f"{name}: made by hand?"
