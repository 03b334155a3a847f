"""Places that are a country in ISO 3166-1 and a division in ISO 3166-2; divisions that pycountry does not have yet.

Knows these few pairs. Knows no name.
"""

from __future__ import annotations

from asyncgen.places.iso import Division

_PAIRS = """
CN-HK HK · CN-MO MO · CN-TW TW · DK-FO FO · DK-GL GL · FI-01 AX
FR-971 GP · FR-972 MQ · FR-973 GF · FR-974 RE · FR-976 YT · FR-BL BL · FR-MF MF · FR-NC NC
FR-PF PF · FR-PM PM · FR-TF TF · FR-WF WF
NL-AW AW · NL-CW CW · NL-SX SX · NL-BQ1 BQ-BO · NL-BQ2 BQ-SA · NL-BQ3 BQ-SE · NO-21 SJ · NO-22 SJ · RS-KM XK
US-AS AS · US-GU GU · US-MP MP · US-PR PR · US-UM UM · US-VI VI
"""

EXTRA = {
    "DK": (Division("DK-FO", "Faroe Islands", city=False), Division("DK-GL", "Greenland", city=False)),
    "MK": (Division("MK-85", "Skopje", city=True),),
    "NO": tuple(
        Division(code, name, city=False)
        for code, name in (
            ("NO-31", "Østfold"), ("NO-32", "Akershus"), ("NO-33", "Buskerud"), ("NO-39", "Vestfold"),
            ("NO-40", "Telemark"), ("NO-55", "Troms"), ("NO-56", "Finnmark"),
        )
    ),
}  # fmt: skip
"""Alpha-2 → divisions that pycountry 26.2 lacks. Norway's counties since 2024; Skopje, whose ten municipalities it has.
The codes of Greenland and the Faroes are made after those of other countries' parts: ISO has none."""


def _twins() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for pair in _PAIRS.replace("·", "\n").strip().splitlines():
        first, second = pair.split()
        found[first] = found.get(first, frozenset()) | {second}
        found[second] = found.get(second, frozenset()) | {first}
    return found


_TWINS = _twins()


def same_divisions(code: str) -> frozenset[str]:
    """The other codes of the place: `HK` → `CN-HK`, `US-PR` → `PR`. Empty for most."""
    return _TWINS.get(code, frozenset())
