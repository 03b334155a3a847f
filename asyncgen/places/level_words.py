"""Which division words name no first-level division in a country: there are counties in Washington, none is Washington.

Knows ISO's types of divisions and, for East Asia, the words of its own scripts. Knows no name.
"""

from __future__ import annotations

import functools
import re

from asyncgen.places.folding import folded
from asyncgen.places.iso import first_level

# Words, folded, that elsewhere name a lower level → the ISO types of divisions that they do name.
_TYPES = {
    "county|counties|county of|县|縣|郡|군": "county",
    "parish|parish of": "parish",
    "commune": "commune",
    "district|district of|distrito|rayon|raion": "district|rayon",
    "department|departement|departamento|department of": "department|region",
}
_COMMON = {"JP": "county", "LY": "district", "RO": "county", "TL": "district"}
"""What the divisions of a country are called in English where ISO says otherwise; of Japan in Chinese."""

_CHINESE = "区|區|州|自治州|地区|地區|地方|行政区|行政區|辖区|轄區|县|縣|県|郡"
_LOWER = {
    "CN": f"{_CHINESE}|府|都|道|邦|prefecture|prefecture of|state|state of|구|주|현|자치주",
    "JP": "county|county of|郡|区|區|州|地区|地區|地方|行政区|行政區|구|주",
    "KP": f"{_CHINESE}|구|현",
    "KR": f"{_CHINESE}|구|현",
    "TW": "区|區|州|地区|地區|地方|行政区|行政區|구|prefecture",
    "VN": _CHINESE,
}
"""Words of lower levels there. Elsewhere in the world 州 and 区 are what these languages call the first level: 加州."""


@functools.cache
def lower_words(country: str) -> frozenset[str]:
    """Division words, folded, that are not left out of names in this country (alpha-2)."""
    kinds = " ".join([*(one.kind for one in first_level().get(country, ())), _COMMON.get(country, "")]).lower()
    words = [word for group, types in _TYPES.items() if not re.search(types, kinds) for word in group.split("|")]
    return frozenset(map(folded, words + _LOWER.get(country, "").split("|")))
