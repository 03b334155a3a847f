"""The terms that a text is found by."""

import pytest

from asyncgen.embedded.words import terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Running RUNNERS ran", ["run", "runner", "ran"]),
        ("Crème Brûlée, İstanbul, Straße", ["creme", "brule", "istanbul", "strass"]),
        ("e\u0301tat", ["etat"]),
        ("3.14 or 1,000 in 1984", ["3", "14", "or", "1", "000", "in", "1984"]),
        ('"AND" (OR: NOT) *?', ["and", "or", "not"]),
        ("Ｆｕｌｌ １２", ["full", "12"]),
        ("東京都", ["東", "京", "都", "東京", "京都"]),
        ("ｶﾀ", ["カ", "タ", "カタ"]),
        ("서울은 abc", ["서", "울", "은", "서울", "울은", "abc"]),
        ("ไทย", ["ไ", "ท", "ย", "ไท", "ทย"]),
        ("हिन्दी", ["हिनदी"]),
        ("العَرَبِيَّة", ["العربية"]),
        ("👩‍🚀 !?", []),
        ("", []),
        ("x" * 200, []),
        ("again Again AGAIN", ["again"]),
        ("half \ud83d a pair", ["half", "a", "pair"]),
    ],
)
def test_a_text_has_these_terms(text, expected):
    assert terms(text) == expected
