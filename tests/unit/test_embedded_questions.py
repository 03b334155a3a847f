"""Questions about countries: the passages that they name give the answer, and no other."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.core.errors import InputError
from asyncgen.embedded.countries import Atlas, load_atlas
from asyncgen.embedded.questions import KINDS, Question, make_questions, row, write_questions

ATLAS = load_atlas()
ALL = 800


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    return make_questions(ATLAS, ALL)


def sentences(question: Question) -> list[str]:
    """Those that the row names as support."""
    by_title = {one.title: one for one in ATLAS.passages}
    support = row(question, ATLAS)["supporting_facts"]
    pairs = zip(support["title"], support["sent_id"], strict=True)
    return [by_title[title].sentences[number].text for title, number in pairs]


def test_a_small_count_has_all_kinds_and_no_question_twice(questions):
    first = make_questions(ATLAS, len(KINDS))
    assert len({one.kind for one in first}) == len(KINDS)
    assert len({one.text for one in questions}) == ALL


def test_the_same_seed_gives_the_same_questions_and_another_one_others():
    assert make_questions(load_atlas(), 50, seed=3) == make_questions(ATLAS, 50, seed=3)
    assert make_questions(ATLAS, 50, seed=3) != make_questions(ATLAS, 50, seed=4)


def test_the_named_sentences_say_the_answer_or_compare_it(questions):
    for one in questions:
        said = sentences(one)
        assert len(said) == len(one.facts) >= 2
        if one.kind not in {"larger_neighbour", "more_people"}:
            assert one.answers[0] in said[-1], one
        else:
            assert any(one.answers[0].removeprefix("The ") in text for text in said), one


def test_each_step_names_what_the_next_one_is_about(questions):
    for one in questions:
        if one.kind in {"more_people", "larger_neighbour"}:
            continue
        for (country, fact), (following, _), text in zip(one.facts, one.facts[1:], sentences(one), strict=False):
            assert country.called in text
            assert (fact == "borders") == (following != country)
            assert following.called in text


def test_the_first_step_starts_at_what_the_question_names(questions):
    for one in questions:
        country, fact = one.facts[0]
        values = {
            "capital": country.capital,
            "domain": country.domain,
            "borders": country.called,
            "province": fact.partition("/")[2],
        }
        assert values[fact.partition("/")[0]] in one.text


def test_a_value_that_stands_for_a_country_is_no_other_countrys(questions):
    for one in questions:
        country, fact = one.facts[0]
        kind, _, name = fact.partition("/")
        if kind == "province":
            assert [other for other in ATLAS.countries if name in other.provinces] == [country]
        elif kind in {"capital", "domain"}:
            value = getattr(country, kind)
            assert [other for other in ATLAS.countries if getattr(other, kind) == value] == [country]


def test_an_answer_that_is_a_code_is_the_only_one_of_its_country(questions):
    for one in questions:
        country, fact = one.facts[-1]
        if fact in {"currency", "language"}:
            assert one.answers == (country.currencies if fact == "currency" else country.languages)
            assert len(one.answers) == 1


def test_the_country_with_more_people_has_clearly_more(questions):
    asked = [one for one in questions if one.kind in {"larger_neighbour", "more_people"}]
    assert len(asked) > 50
    for one in asked:
        counts = {country.name: country.population for country, fact in one.facts if fact == "population"}
        assert len(counts) == 2
        assert counts[one.answers[0]] > 1.05 * min(counts.values())


def test_no_spelling_of_an_answer_is_another_countrys(questions):
    names = Counter(text for one in ATLAS.countries for text in {one.name, *one.spellings})
    for one in questions:
        if one.kind in {"larger_neighbour", "more_people"}:
            assert all(names[text] == 1 for text in one.answers)


def test_a_capital_with_the_countrys_name_in_it_is_not_asked_after(questions):
    asked = {one.facts[0][0].name for one in questions if one.facts[0][1] == "capital"}
    assert {"Singapore", "Monaco", "Mexico", "Kuwait"}.isdisjoint(asked)
    assert "France" in asked


def test_more_questions_than_the_countries_give_are_an_input_error():
    with pytest.raises(InputError, match="100000 questions are asked for: the countries give"):
        make_questions(ATLAS, 100_000)
    with pytest.raises(InputError, match="the countries give 0"):
        make_questions(Atlas(()), 1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(), count=st.integers(0, 60))
def test_any_seed_gives_as_many_as_asked_for_each_with_support(seed, count):
    made = make_questions(ATLAS, count, seed=seed)
    assert len(made) == count
    for one in made:
        assert all(sentences(one))


def test_the_rows_have_what_question_sets_have(tmp_path):
    write_questions(tmp_path / "q.jsonl", 24, seed=0, atlas=ATLAS)
    rows = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 24
    for one in rows:
        assert list(one) == ["question", "answer", "golden_answers", "supporting_facts", "hops", "kind"]
        assert one["golden_answers"][0] == one["answer"] != ""
        assert one["hops"] == len(one["supporting_facts"]["title"]) == len(one["supporting_facts"]["sent_id"])
        assert one["question"].endswith("?")
