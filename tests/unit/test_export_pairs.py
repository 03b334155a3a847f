"""Truth and guess of geo traces, drawn by lot."""

from __future__ import annotations

from support.stats_runs import geo_trace, some_world

from asyncgen.export.pairs import Pairs


def test_pairs_are_drawn_by_lot_the_same_each_time_with_the_number_of_all() -> None:
    def drawn() -> Pairs:
        pairs = Pairs(limit=10)
        for trace in some_world(200, 3):
            pairs.add(trace)
        return pairs

    pairs = drawn()
    both = [trace for trace in some_world(200, 3) if trace["answer"]]
    assert pairs.seen.total() == len(both)
    assert len(pairs.drawn) == 10
    assert {pair.truth[0] for pair in pairs.drawn} <= {trace["sample_data"]["lat"] for trace in both}
    assert drawn().drawn == pairs.drawn


def test_a_pair_needs_a_truth_and_a_guess_on_the_globe() -> None:
    pairs = Pairs()
    pairs.add(geo_trace(0, lat=None))
    pairs.add(geo_trace(1) | {"answer": "somewhere"})
    pairs.add(geo_trace(2) | {"answer": "95.0, 20.0"})
    pairs.add(geo_trace(3, parsed=False))
    assert not pairs.drawn
    pairs.add(geo_trace(4, guess=(-1.5, 179.0)))
    pairs.add(geo_trace(5) | {"answer": "", "final_response": r"It is \boxed{3.5, 4.5}"})
    assert [pair.guess for pair in pairs.drawn] == [(-1.5, 179.0), (3.5, 4.5)]
