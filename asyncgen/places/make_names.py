"""Makes `data/names.tsv` and `data/divisions.tsv` again: `python -m asyncgen.places.make_names CLDR_FOLDER`.

CLDR_FOLDER is the unpacked npm package `cldr-subdivisions-full`; the names of countries come from the installed Babel,
whose data are CLDR's too. Knows where the names come from and what is wrong in them. Knows nothing of look-ups.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from asyncgen.core.errors import InputError
from asyncgen.places.folding import folded

PACKAGE = ("cldr-subdivisions-full", "48.2.0", "Unicode-3.0")
"""Name, version, licence."""
BABEL = "2.18.0"
DATA = Path(__file__).parent / "data"

LANGUAGES = (
    "af am ar az be bg bn ca cs cy da de el en es es_MX et eu fa fi fil fr ga gl gu he hi hr hu hy id is it ja ka kk "
    "km kn ko ky lo lt lv mk ml mn mr ms my ne nl no pa pl pt pt_PT ro ru si sk sl sq sr sr_Latn sv sw ta te th tr uk "
    "ur uz vi yue zh zh_Hant zh_Hant_HK"
)

REUSED = frozenset({"IR", "MA"})
"""CLDR still names the divisions that these countries' codes meant before: 2020, 2015."""
WRONG = frozenset({"TW-CYI", "TW-CYQ", "UG-331"})
"""A district of another code, a city and the county around it the wrong way round."""
_FOOTNOTE = re.compile("[\u00b9\u00b2\u00b3]$")


def country_table(english: Mapping[str, str], names: Mapping[str, set[str]]) -> str:
    """One line a country: code, tab, English name, tab, its folded names between bars."""
    return "".join(f"{code}\t{english[code]}\t{'|'.join(sorted(names[code]))}\n" for code in sorted(names))


def division_table(names: Mapping[str, str]) -> str:
    """One line a division: code, tab, English name. `names`: CLDR's, with codes such as `usca`."""
    lines = []
    for key, name in names.items():
        code = f"{key[:2]}-{key[2:]}".upper()
        if code[:2] not in REUSED and code not in WRONG:
            lines.append(f"{code}\t{_FOOTNOTE.sub('', name)}\n")
    return "".join(sorted(lines))


def main(arguments: list[str]) -> None:
    """Raises InputError for a folder or a Babel of another version."""
    if len(arguments) != 1:
        raise InputError("make_names takes one folder: the unpacked npm package cldr-subdivisions-full")
    header = f"# Made by `python -m asyncgen.places.make_names` from {{}}. Licence: {PACKAGE[2]}, see LICENSES.md\n"
    divisions = division_table(_english(Path(arguments[0])))
    countries = country_table(*_territories())
    DATA.joinpath("divisions.tsv").write_text(header.format(" ".join(PACKAGE[:2])) + divisions, "utf-8")
    DATA.joinpath("names.tsv").write_text(header.format(f"Babel {BABEL} (CLDR)") + countries, "utf-8")


def _english(folder: Path) -> Mapping[str, str]:
    about = json.loads(folder.joinpath("package.json").read_text("utf-8"))
    found = (about["name"], about["version"], about["license"])
    if found != PACKAGE:
        raise InputError(f"{folder} holds {' '.join(found)}: give the folder of {' '.join(PACKAGE)}")
    tree = json.loads(folder.joinpath("subdivisions/en/en.json").read_text("utf-8"))
    names: Mapping[str, str] = tree["subdivisions"]["localeDisplayNames"]["subdivisions"]
    return names


def _territories() -> tuple[Mapping[str, str], dict[str, set[str]]]:
    """The English names, and those in all languages, of ISO 3166-1 alpha-2 codes and XK."""
    import babel

    if babel.__version__ != BABEL:
        raise InputError(f"Babel {babel.__version__} is installed: install Babel {BABEL}")
    names: dict[str, set[str]] = {}
    for language in LANGUAGES.split():
        for code, name in babel.Locale.parse(language).territories.items():
            if re.fullmatch("[A-Z]{2}", code) and code not in _NO_COUNTRIES:
                names.setdefault(code, set()).update(_spellings(name))
    return babel.Locale.parse("en").territories, names


_NO_COUNTRIES = frozenset("AC CP CQ DG EA EU EZ IC QO TA UN XA XB ZZ".split())  # noqa: SIM905  # a list of codes


def _spellings(name: str) -> Iterator[str]:
    """`Myanmar (Birma)` is also Myanmar; `Kongo (Kinshasa)` is not Kongo, but that is for the aliases to say."""
    yield folded(name)
    if "(" in name:
        yield folded(name.partition("(")[0])


if __name__ == "__main__":
    main(sys.argv[1:])
