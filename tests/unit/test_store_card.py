"""The dataset card: any run loads by its directory alone."""

from __future__ import annotations

import json

import datasets
import pytest
import yaml
from datasets import Features, Json, List, Value
from support.store_fakes import a_failure, a_trace, open_store, writing

from asyncgen.store.card import card_text, trace_features, write_card
from asyncgen.store.files import DISK

SCORES = {"score": float, "parse_success": bool, "acc@1km": float}
HEADLINE = {"parse_success": bool, "score": float}

text, number, real, flag = Value("string"), Value("int64"), Value("float64"), Value("bool")
FEATURES = Features(
    {
        "id": text,
        "version": number,
        "config_id": text,
        "rollout": number,
        "dataset_path": text,
        "sample_index": number,
        "sample_data": Json(),
        "conversation_history": List(
            {
                "turn": number,
                "messages": List({"role": text, "content": text, "tool_call_id": text, "name": text}),
                "response": text,
                "reasoning": text,
                "finish_reason": text,
                "usage": {
                    "prompt_tokens": number,
                    "completion_tokens": number,
                    "total_tokens": number,
                    "cached_tokens": number,
                },
                "endpoint": text,
                "model": text,
                "request_id": text,
                "seconds": real,
                "attempts": number,
            }
        ),
        "images": List(
            {
                "image": number,
                "source": text,
                "column": text,
                "op": text,
                "arguments": text,
                "width": number,
                "height": number,
                "sha256": text,
            }
        ),
        "final_response": Json(),
        "answer": Json(),
        "reward_score": {"score": real, "parse_success": flag, "acc@1km": real},
        "tool_calls": List(
            {
                "turn": number,
                "tool_call": {"id": text, "name": text, "arguments": text},
                "success": flag,
                "error": text,
                "seconds": real,
            }
        ),
        "metadata": {
            "total_turns": number,
            "num_tool_calls": number,
            "stop": text,
            "tool_mode": text,
            "accepted": flag,
            "prompt_tokens": number,
            "completion_tokens": number,
            "seconds": real,
            "resumed_at_turn": number,
            "attempts": number,
            "parse_success": flag,
            "score": real,
        },
        "crc": text,
    }
)


def test_the_features_are_those_that_datasets_itself_writes():
    assert trace_features(SCORES, HEADLINE) == FEATURES._to_yaml_list()


@pytest.mark.parametrize(
    ("traces", "size"), [(1, "n<1K"), (1_000, "1K<n<10K"), (1_400_000, "1M<n<10M"), (10**9, "n>100M")]
)
def test_the_card_says_how_large_the_run_is_to_be(traces, size):
    card = card_text(name="geo", score_types=SCORES, headline_types=HEADLINE, traces=traces)
    assert f"size_categories:\n- {size}\n" in card


def test_the_cards_header_names_the_sealed_traces_alone():
    card = card_text(name="geo: 1", score_types=SCORES, headline_types=HEADLINE)
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["pretty_name"] == "geo: 1"
    assert header["configs"] == [{"config_name": "default", "data_files": "traces/*.jsonl"}]


def load(directory, cache):
    return datasets.load_dataset(str(directory), split="train", cache_dir=str(cache))


async def write_run(directory, traces):
    async with writing(open_store(directory, shard_traces=2)) as store:
        write_card(directory, name="geo", score_types=SCORES, headline_types=HEADLINE, files=DISK)
        (directory / "run.json").write_text(json.dumps({"name": "geo"}))
        store.events.write("start")
        await store.fail(a_failure(99))
        for trace in traces:
            await store.append(trace)


@pytest.mark.parametrize("calls", [(0, 0, 0, 0), (0, 0, 1, 2), (2, 1, 0, 0)])
async def test_a_run_loads_whether_or_not_there_are_tool_calls(tmp_path, calls):
    await write_run(tmp_path / "run", [a_trace(at, calls=count) for at, count in enumerate(calls)])
    loaded = load(tmp_path / "run", tmp_path / "cache")
    assert loaded.features == FEATURES
    assert [len(calls) for calls in loaded["tool_calls"]] == list(calls)
    assert loaded["sample_index"] == [0, 1, 2, 3]


async def test_texts_that_look_like_dates_and_samples_of_any_shape_come_back_as_they_were(tmp_path):
    samples = [{"when": "2026-01-01", "x": None}, {"x": {"deep": [1, 2.5]}}, {}]
    await write_run(tmp_path / "run", [a_trace(at, text="2026-01-01", **sample) for at, sample in enumerate(samples)])
    loaded = load(tmp_path / "run", tmp_path / "cache")
    assert loaded["answer"] == ["2026-01-01"] * 3
    assert loaded["final_response"] == ["2026-01-01"] * 3
    assert loaded["sample_data"] == samples
