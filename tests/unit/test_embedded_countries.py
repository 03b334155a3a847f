"""Passages about countries: what the package says, and nothing else."""

import json
import re

import pytest

from asyncgen.embedded.countries import (
    PROVINCES_A_PASSAGE,
    PROVINCES_A_SENTENCE,
    Atlas,
    Country,
    load_atlas,
    write_corpus,
)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return load_atlas()


def country(code: str, name: str, **facts) -> Country:
    nothing = dict.fromkeys(("currencies", "languages", "borders", "provinces", "spellings"), ())
    texts = dict.fromkeys(("capital", "region", "continent", "demonym", "calling_code", "domain"), "")
    return Country(code=code, name=name, **{**nothing, **texts, "area": 0, "population": 0, **facts})


def texts(atlas: Atlas) -> dict[str, str]:
    return {one.title: one.text for one in atlas.passages}


def test_there_are_about_250_countries_each_once_and_several_passages_of_each(atlas):
    assert (
        len(atlas.countries) == len({one.code for one in atlas.countries}) == len({one.name for one in atlas.countries})
    )
    assert 240 <= len(atlas.countries) <= 260
    assert len(atlas.passages) > 4 * len(atlas.countries)


def test_titles_are_unique_and_passages_short(atlas):
    titles = [one.title for one in atlas.passages]
    assert len(set(titles)) == len(titles)
    assert max(len(one.text) for one in atlas.passages) < 900
    assert not [title for title in titles if ": " in title]


def test_passages_are_sentences_with_nothing_missing_in_them(atlas):
    for passage in atlas.passages:
        for sentence in passage.sentences:
            assert re.search(r"[^ ]\.$", sentence.text), sentence
            assert not re.search(r"None|\['|  | ,|\.\.|of is|code \.|is \.$", sentence.text), sentence


def test_the_countries_stand_in_the_order_of_their_codes(atlas):
    codes = [one.code for one in atlas.countries]
    assert codes == sorted(codes)
    assert load_atlas() == atlas


def test_countries_that_are_no_more_are_left_out(atlas):
    assert {"ANT", "SCG"}.isdisjoint(one.code for one in atlas.countries)
    assert [one.code for one in atlas.countries if one.capital == "Belgrade"] == ["SRB"]


def test_of_two_entries_for_one_country_the_fuller_one_counts(atlas):
    assert atlas.by_code["PSE"].population > 0
    assert isinstance(atlas.by_code["VAT"].capital, str)


def test_provinces_that_the_package_gives_to_the_wrong_country_are_in_no_passage(atlas):
    assert "Andalucia" not in texts(atlas).get("Provinces of South Sudan", "")
    assert atlas.by_code["SSD"].provinces == atlas.by_code["AGO"].provinces == ()


def test_what_is_not_known_makes_no_sentence():
    assert Atlas((country("AAA", "Nowhere"),)).passages == ()
    only = Atlas((country("AAA", "Nowhere", capital="Town"),))
    assert texts(only) == {"Nowhere": "The capital of Nowhere is Town."}


def test_each_fact_reads_as_a_sentence():
    one = country(
        "AAA",
        "Upper Islands",
        capital="Harbour D.C.",
        area=1234.5,
        population=7654321,
        currencies=("AAD", "USD"),
        languages=("en",),
        borders=("BBB",),
        provinces=("East", "West"),
        domain=".aa",
        calling_code="+99",
        demonym="Upper",
        region="Polynesia",
        continent="Oceania",
    )
    other = country("BBB", "Lower", borders=("AAA", "BBB"))
    assert texts(Atlas((one, other))) == {
        "Upper Islands": "The region of the Upper Islands is Polynesia, its continent is Oceania. "
        "The capital of the Upper Islands is Harbour D.C. The area of the Upper Islands is 1,234.5 km².",
        "Currency of the Upper Islands": "The currency of the Upper Islands has the ISO 4217 codes AAD and USD.",
        "Telephone and Internet of the Upper Islands": "The telephone calling code of the Upper Islands is +99. "
        "The Internet domain of the Upper Islands is .aa.",
        "People of the Upper Islands": "The population of the Upper Islands is 7,654,321. "
        "A person or thing from the Upper Islands is called Upper. "
        "What is spoken in the Upper Islands has the ISO 639-1 code en.",
        "Borders of the Upper Islands": "The only country that borders the Upper Islands is Lower.",
        "Provinces of the Upper Islands": "East and West are provinces of the Upper Islands.",
        "Borders of Lower": "The 2 countries that border Lower are the Upper Islands and Lower.",
    }


def test_many_provinces_are_told_in_several_passages():
    names = tuple(f"Province {number}" for number in range(PROVINCES_A_PASSAGE + 1))
    atlas = Atlas((country("AAA", "Nowhere", provinces=names),))
    assert list(texts(atlas)) == ["Provinces of Nowhere", "Provinces of Nowhere (2)"]
    (one,) = atlas.countries
    first = PROVINCES_A_SENTENCE
    assert atlas.where(one, f"province/Province {first - 1}") == ("Provinces of Nowhere", 0)
    assert atlas.where(one, f"province/Province {first}") == ("Provinces of Nowhere", 1)
    assert atlas.where(one, f"province/{names[-1]}") == ("Provinces of Nowhere (2)", 0)


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("The Bahamas", "the Bahamas"),
        ("Philippines", "the Philippines"),
        ("United States", "the United States"),
        ("Dominican Republic", "the Dominican Republic"),
        ("Central African Republic", "the Central African Republic"),
        ("Republic of the Congo", "the Republic of the Congo"),
        ("Dominica", "Dominica"),
        ("Bouvet Island", "Bouvet Island"),
        ("Ireland", "Ireland"),
    ],
)
def test_a_name_takes_its_article_in_a_sentence(name, called):
    assert country("AAA", name).called == called


def test_the_corpus_is_a_line_a_passage_and_the_same_each_time(atlas, tmp_path):
    count = write_corpus(tmp_path / "one", atlas)
    write_corpus(tmp_path / "two", load_atlas())
    rows = [json.loads(line) for line in (tmp_path / "one").read_text("utf-8").splitlines()]
    assert count == len(rows) == len(atlas.passages)
    assert rows[0] == {"id": "0", "title": atlas.passages[0].title, "text": atlas.passages[0].text}
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
