"""The words that say what kind of division a name is: province, 省, oblast, län.

Knows the words of many languages, folded, and whether a word says city. Knows no division.
"""

from __future__ import annotations

from collections.abc import Set  # noqa: PYI025  # the read-only kind
from typing import NamedTuple

from asyncgen.places.folding import folded


class Stripped(NamedTuple):
    """A name without its division word."""

    base: str
    city: bool
    """The word was one for cities: `Kansas City` is not Kansas, `吉林市` is not 吉林省."""


_CITIES = """
city municipality metropolis metropolitan_city special_city federal_city autonomous_city capital_city city_municipality
special_municipality metropolitan_municipality independent_city shi si gwangyeoksi teukbyeolsi teukbyeoljachisi gorod
stadt stad ville ciudad cidade citta miasto mesto obcina thanh_pho kota sehri kaupunki
город қаласы місто
"""

_AREAS = """
province provinces state county region district territory prefecture governorate canton division department parish
oblast republic federal_district federal_territory union_territory capital_territory national_capital_territory
autonomous_region autonomous_republic autonomous_province autonomous_community autonomous_oblast autonomous_district
autonomous_okrug special_administrative_region special_region administrative_region metropolitan_region capital_region
overseas_region sar emirate voivodeship voivodship rayon raion okrug commune atoll
sheng zizhiqu ken fu to do teukbyeoljachido changwat muhafazah mintaqah wilaya wilayah ostan viloyati viloyat
bundesland freistaat kanton lan fylke maakunta landskap kraj zupanija megye varmegye judet judetul apskritis maakond
novads periferia pokrajina il ili provincie provincia provinsi propinsi tinh departamento departement estado comunidad
comunidad_autonoma principado regione regiao distrito cantone wojewodztwo
krai kray vobl voblast voblasc respublika oblys oblysy
область обл край республика автономный_округ автономная_область округ вобласць рэспубліка облысы област
محافظه منطقه اماره ولايه استان
राज्य प्रांत
περιφερεια
"""

_ASIAN_CITIES = "直辖市 直轄市 特别市 特別市 广域市 廣域市 市 특별자치시 특별시 광역시 직할시 시"
_ASIAN_AREAS = (
    "特别行政区 特別行政區 自治区 自治區 自治州 自治共和国 自治共和國 边疆区 邊疆區 共和国 共和國 联邦州 聯邦州 "
    "大区 大區 行政区 行政區 地区 地區 地方 首都圈 直辖区 直轄區 辖区 省 州 县 縣 県 府 都 道 邦 郡 区 區 "
    "특별자치도 자치구 자치주 지방 도 주 현 성"
)

# Before the name, with or without "de": Provincia de Jujuy, Kanton Zug, Tỉnh Hà Nam, จังหวัดเชียงใหม่.
_BEFORE = """
provincia province provincie provinsi propinsi estado departamento departement department region regione regiao
comunidad comunidad_autonoma comunidad_foral principado distrito canton kanton cantone land freistaat state_of county_of
county tinh thanh_pho tp kota ciudad cidade citta ville republic_of republica respublika république republique oblast
krai kray
wojewodztwo voivodeship_of district_of territory_of emirate_of governorate_of prefecture_of province_of region_of
department_of canton_of city_of municipality_of principality_of commonwealth_of parish_of division_of free_state_of
free_and_hanseatic_city_of free_hanseatic_city_of autonomous_community_of autonomous_region_of autonomous_province_of
community_of capital_city_of hlavni_mesto gorod changwat muhafazat wilaya wilayat mintaqat ostan ostan_e judetul
estado_libre_y_soberano_de grad opstina obcina
город республика провинция штат земля область кантон регион
محافظه منطقه اماره ولايه استان
"""
_BEFORE_CITIES = (
    "thanh_pho tp kota ciudad cidade citta ville city_of municipality_of capital_city_of hlavni_mesto gorod grad город"
)
_THAI = ("จังหวัด", "มณฑล", "รัฐ")
_CONNECTORS = frozenset("of de di da do del della dello dell des du d".split())  # noqa: SIM905  # a list of words


_UNJOINED = frozenset({"thanh pho", "tp", "tinh", "kota"})
"""No such word follows: thành phố Đà Nẵng."""


def _phrases(text: str) -> frozenset[str]:
    return frozenset(folded(word.replace("_", " ")) for word in text.split())


_AFTER = {**dict.fromkeys(_phrases(_AREAS), False), **dict.fromkeys(_phrases(_CITIES), True)}
_FRONT = {**dict.fromkeys(_phrases(_BEFORE), False), **dict.fromkeys(_phrases(_BEFORE_CITIES), True)}
_ASIAN = [(word, False) for word in _ASIAN_AREAS.split()] + [(word, True) for word in _ASIAN_CITIES.split()]
_ASIAN.sort(key=lambda pair: -len(pair[0]))
_LONGEST = 4


def strip_word(name: str, kept: Set[str] = frozenset()) -> Stripped | None:
    """`name` is folded; `kept`: words, folded, that are not taken off. None: there is no other division word, or
    nothing else."""
    return _without_last(name, kept) or _without_first(name, kept) or _without_joined(name, kept)


def suffixless(text: str) -> str | None:
    """The folded text without one division word at its end or start; None: it has none. A word for cities counts as
    none: a city is seldom the division of its name."""
    stripped = strip_word(folded(text))
    return stripped.base if stripped and not stripped.city else None


def _without_last(name: str, kept: Set[str]) -> Stripped | None:
    words = name.split(" ")
    for count in range(min(_LONGEST, len(words) - 1), 0, -1):
        word = " ".join(words[-count:])
        city = _AFTER.get(word)
        if city is not None:
            if word in kept:
                return None
            return _named(words[:-count], city=city)
    return None


def _without_first(name: str, kept: Set[str]) -> Stripped | None:
    words = name.split(" ")
    for count in range(min(_LONGEST, len(words) - 1), 0, -1):
        word = " ".join(words[:count])
        city = _FRONT.get(word)
        if city is not None:
            if word in kept:
                return None
            rest = words[count:]
            joined = rest[0] in _CONNECTORS and len(rest) > 1 and word not in _UNJOINED
            return _named(rest[1:] if joined else rest, city=city)
    return None


def _without_joined(name: str, kept: Set[str]) -> Stripped | None:
    """Scripts without blanks. One character alone is no name: 苏州 is not 苏."""
    for word, city in _ASIAN:
        if word not in kept and name.endswith(word) and len(name) >= len(word) + 2:
            return Stripped(name[: -len(word)].strip(), city)
    for word in _THAI:
        if name.startswith(word) and len(name) >= len(word) + 2:
            return Stripped(name[len(word) :].strip(), city=False)
    return None


def _named(words: list[str], *, city: bool) -> Stripped | None:
    """A rest that is a division word itself names nothing: Autonomous Region."""
    base = folded(" ".join(words))
    return Stripped(base, city) if base and base not in _AFTER else None
