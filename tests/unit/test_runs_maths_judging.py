"""Results worked out in worker processes: in order, and one that hangs costs only itself."""

from support.maths_judges import echo

from asyncgen.rewards.maths import judge_many
from asyncgen.runs.maths.judging import BATCH, all_judged


def test_results_come_in_order_over_many_batches():
    texts = [("right", "wrong", "unknown", "7", "8")[number % 5] for number in range(2 * BATCH + 50)]
    results = {"7": "right", "8": "wrong"}
    assert all_judged([(text, "7") for text in texts], echo, "verify") == [results.get(text, text) for text in texts]


def test_no_pair_needs_no_process():
    assert all_judged([], echo, "verify") == []


def test_a_solution_that_ends_its_process_is_unknown_and_the_others_are_judged():
    texts = ["right", "wrong", "die", "right", "unknown"]
    expected = ["right", "wrong", "unknown", "right", "unknown"]
    assert all_judged([(text, "") for text in texts], echo, "verify") == expected


def test_a_solution_that_hangs_is_unknown_and_the_others_are_judged():
    assert all_judged([(text, "") for text in ("right", "hang")], echo, "verify", seconds=0.1) == ["right", "unknown"]


def test_whole_texts_are_judged_by_their_last_box():
    pairs = [
        ("so \\boxed{1} no \\boxed{\\frac{1}{2}}", "0.5"),
        ("\\boxed{3}", "4"),
        ("no idea", "4"),
        ("\\boxed{3}", "3"),
    ]
    assert judge_many(pairs, "verify") == ["right", "wrong", "wrong", "right"]
    assert judge_many([("\\boxed{4} and \\boxed{5}", "5")], "original") == ["wrong"]
