"""The search jobs from outside: what a model server and a retrieval server are sent, and what is saved of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import Outcome, traces
from support.retriever import ThreadedRetriever
from support.search_r1_server import looked_up
from support.server import Reply, Request, ThreadedServer, choices, text, tool_calls

import asyncgen

Run = Callable[..., Outcome]
ROWS = [
    {
        "question": "Which currency has the country where Marie Curie was born?",
        "answer": "złoty",
        "supporting_facts": {"title": ["Marie Curie", "Warsaw", "Poland", "Poland"], "sent_id": [0, 0, 0, 1]},
    },
]
VARIABLES = ("VLLM_URL", "RETRIEVAL_URL", "MAX_SAMPLES", "INPUT_FILE", "OUTPUT_FILE", "BATCH_SIZE", "TEMPERATURE")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "MAX_TOKENS", "MAX_ASSISTANT_TURNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def retrieval() -> Iterator[ThreadedRetriever]:
    with ThreadedRetriever(looked_up) as server:
        yield server


def rows(folder: Path, lines: Sequence[Mapping[str, Any]] = ROWS) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def turn_of(body: Mapping[str, Any]) -> int:
    """From 1."""
    return 1 + [message["role"] for message in body["messages"]].count("assistant")


def conversation(trace: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Role and text of every message of a trace, in order."""
    found: list[tuple[str, str]] = []
    for turn in trace["conversation_history"]:
        found += [(message["role"], message["content"]) for message in turn["messages"]]
        found.append(("assistant", turn["response"]))
    return found


def sent(request: Request) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in request.body["messages"]]


def in_order(*replies: Reply) -> Callable[[dict[str, Any], int], Reply]:
    """One reply for each turn."""
    return lambda body, _: replies[turn_of(body) - 1]


NATIVE = in_order(
    tool_calls(
        ("search", {"query_list": ["Marie Curie", '東京 "x"\nand more']}), content="<think>first</think>I look."
    ),
    tool_calls(("search", {"query": ["What is the currency of Poland?"]})),
    text("<think>now</think>It is <answer>the Złoty!</answer>"),
)


def test_a_native_trace_is_what_the_server_was_sent_byte_for_byte(
    run: Run, tmp_path: Path, retrieval: ThreadedRetriever
) -> None:
    with ThreadedServer(NATIVE) as server:
        words = ("--input_file", rows(tmp_path), "--vllm_url", server.base_url, "--retrieval_url", retrieval.url)
        done = run("run", "search", *words, "--batch_size", 4, "--max-assistant-turns", 3, "--output-dir", "out")
    assert done.code == 0, done.err
    (trace,) = traces(Path("out"))
    last = server.requests[-1]
    assert conversation(trace)[:-1] == sent(last)
    for _, content in conversation(trace)[:-1]:
        assert json.dumps(content, ensure_ascii=False).encode() in last.raw
    assert [role for role, _ in conversation(trace)] == ["system", "user", *["assistant", "tool"] * 2, "assistant"]
    assert trace["conversation_history"][0]["messages"][1]["content"] == f"Question: {ROWS[0]['question']}"
    assert trace["conversation_history"][1]["messages"][0]["content"] == (
        "Query: Marie Curie\n[1] Marie Curie: Marie Curie was born in Warsaw.\n\n"
        'Query: 東京 "x"\nand more\n[1] 東京: 東京 は日本の首都。'
    )
    assert [call["tool_call"]["arguments"] for call in trace["tool_calls"]] == [
        json.dumps({"query_list": ["Marie Curie", '東京 "x"\nand more']}),
        json.dumps({"query": ["What is the currency of Poland?"]}),
    ]
    assert retrieval.posts[0] == {"queries": ["Marie Curie", '東京 "x"\nand more'], "topk": 5, "return_scores": True}
    assert trace["answer"] == "the Złoty!"
    assert trace["reward_score"] == {
        "score": 1.0, "em": 1.0, "f1": 1.0, "parse_success": True, "support_recall": pytest.approx(2 / 3),
    }  # fmt: skip
    assert (trace["metadata"]["stop"], trace["metadata"]["tool_mode"]) == ("answered", "native")


def test_stats_and_rescore_know_the_scores(run: Run, tmp_path: Path, retrieval: ThreadedRetriever) -> None:
    with ThreadedServer(NATIVE) as server:
        words = ("--input-file", rows(tmp_path), "--vllm-url", server.base_url, "--retrieval-url", retrieval.url)
        assert run("run", "search", *words, "--output-dir", "out").code == 0
    shown = run("stats", "out").out
    assert {"em", "f1", "support_recall"} <= {line.split()[0] for line in shown.splitlines() if line.strip()}
    again = run("rescore", "out", "-o", "again", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["answers_changed"] == 0
    assert [one["reward_score"] for one in traces(Path("again"))] == [
        one["reward_score"] for one in traces(Path("out"))
    ]
    fewer = run("rescore", "out", "-o", "fewer", "--task.support", "false")
    assert fewer.code == 0, fewer.err
    assert list(traces(Path("fewer"))[0]["reward_score"]) == ["score", "em", "f1", "parse_success"]


def test_the_third_turn_is_the_last_and_no_result_is_asked_about(
    run: Run, tmp_path: Path, retrieval: ThreadedRetriever
) -> None:
    def always(body: dict[str, Any], number: int) -> Reply:
        return tool_calls(("search", {"query_list": [f"Poland {number}"]}))

    with ThreadedServer(always) as server:
        words = ("--input-file", rows(tmp_path), "--vllm-url", server.base_url, "--retrieval-url", retrieval.url)
        assert run("run", "search", *words, "--output-dir", "out").code == 0
    (trace,) = traces(Path("out"))
    assert len(server.requests) == 3
    assert retrieval.queries == ["Poland 0", "Poland 1"]
    assert (trace["metadata"]["stop"], trace["metadata"]["total_turns"]) == ("max_turns", 3)
    assert trace["tool_calls"][2]["error"] == "not run: the limit of 3 turns was reached"
    assert trace["reward_score"] == {"score": 0.0, "em": 0.0, "f1": 0.0, "parse_success": False, "support_recall": 0.0}


def test_the_judge_is_asked_through_the_same_server(run: Run, tmp_path: Path, retrieval: ThreadedRetriever) -> None:
    def script(body: dict[str, Any], number: int) -> Reply:
        judged = body["messages"][0]["content"].startswith("You judge answers")
        return text("It is the same. [1]") if judged else text("<answer>Polish złoty</answer>")

    with ThreadedServer(script) as server:
        words = ("--input-file", rows(tmp_path), "--vllm-url", server.base_url, "--retrieval-url", retrieval.url)
        assert run("run", "search", *words, "--task.judge", "--output-dir", "out").code == 0
    (trace,) = traces(Path("out"))
    assert (trace["reward_score"]["em"], trace["reward_score"]["judge"]) == (0.0, 1.0)
    assert (server.requests[1].body["temperature"], "tools" in server.requests[1].body) == (0.0, False)
    refused = run("rescore", "out", "-o", "again")
    assert refused.code == 2
    assert "asks a model" in refused.err


def test_a_score_that_is_asked_for_in_the_middle_of_a_run_is_refused(
    run: Run, tmp_path: Path, retrieval: ThreadedRetriever
) -> None:
    with ThreadedServer(in_order(text("<answer>złoty</answer>"))) as server:
        words = ["--input-file", rows(tmp_path, ROWS * 2), "--vllm-url", server.base_url, "--output-dir", "out"]
        words += ["--retrieval-url", retrieval.url]
        assert run("run", "search", *words, "--max-samples", 1).code == 0
        refused = run("run", "search", *words, "--task.judge")
        assert refused.code == 2
        assert "have the scores score, em, f1, parse_success, support_recall, and this start's" in refused.err
        assert run("run", "search", *words, "--task.retrieval-timeout", 7, "--task.topk", 5).code == 0
    assert len(traces(Path("out"))) == 2


# Tongyi-DeepResearch


def written(query: object, more: str = "") -> Reply:
    call = json.dumps({"name": "search", "arguments": {"query": query}})
    return text(f"<think>hm</think>\n<tool_call>\n{call}\n</tool_call>{more}")


def test_tongyi_calls_stand_in_the_text_and_invented_results_are_cut(
    run: Run, tmp_path: Path, retrieval: ThreadedRetriever
) -> None:
    invented = "\n<tool_response>\nQuery: x\n[1] Wrong: invented\n</tool_response>\n<answer>wrong</answer>"
    script = in_order(written(["Marie Curie", "Warsaw"], invented), written("Poland"), text("<answer>zloty</answer>"))
    with ThreadedServer(script) as server:
        words = ("--input-file", rows(tmp_path), "--vllm-url", server.base_url, "--retrieval-url", retrieval.url)
        done = run("run", "search-tongyi", *words, "--output-dir", "out")
    assert done.code == 0, done.err
    (trace,) = traces(Path("out"))
    body = server.requests[0].body
    assert body["stop"] == ["\n<tool_response>", "<tool_response>"]
    assert (body["temperature"], body["top_p"], body["presence_penalty"], body["max_tokens"]) == (
        0.6,
        0.95,
        1.1,
        10_000,
    )
    assert "tools" not in body
    assert "<tools>" in body["messages"][0]["content"]
    assert conversation(trace)[:-1] == sent(server.requests[-1])
    assert [role for role, _ in conversation(trace)] == ["system", *["user", "assistant"] * 3]
    assert trace["conversation_history"][0]["response"].endswith("</tool_call>")
    result = trace["conversation_history"][1]["messages"][0]["content"]
    assert result.startswith("<tool_response>\nQuery: Marie Curie\n[1] Marie Curie: ")
    assert result.endswith("\n</tool_response>")
    assert retrieval.queries == ["Marie Curie", "Warsaw", "Poland"]
    assert trace["reward_score"]["support_recall"] == 1.0
    assert (trace["answer"], trace["metadata"]["tool_mode"]) == ("zloty", "text")


def test_near_the_end_of_the_context_tongyi_is_asked_for_its_answer(
    run: Run, tmp_path: Path, retrieval: ThreadedRetriever
) -> None:
    usage = {"prompt_tokens": 112_640, "completion_tokens": 10, "total_tokens": 112_650}
    call = '<tool_call>{"name": "search", "arguments": {"query": ["Poland"]}}</tool_call>'
    script = in_order(choices({"content": call}, usage=usage), text("<think>so</think><answer>złoty</answer>"))
    with ThreadedServer(script) as server:
        words = ("--input-file", rows(tmp_path), "--vllm-url", server.base_url, "--retrieval-url", retrieval.url)
        assert run("run", "search-tongyi", *words, "--output-dir", "out").code == 0
    (trace,) = traces(Path("out"))
    asked = trace["conversation_history"][1]["messages"][-1]
    assert asked["role"] == "user"
    assert asked["content"].startswith("<tool_response>")
    assert "make no more tool calls" in asked["content"]
    assert (trace["answer"], trace["metadata"]["total_turns"]) == ("złoty", 2)


# Search-R1

NUDGE = """That was neither a search nor an answer. To search, write the query between <search> and </search>. \
To answer, write the answer between <answer> and </answer>. Try again."""


def test_search_r1_has_its_tags_and_no_system_message(run: Run, tmp_path: Path, retrieval: ThreadedRetriever) -> None:
    script = in_order(
        text('<think>a</think><search>Marie Curie</search>\n<information>Doc 1(Title: "Wrong") x</information>'),
        text("I am lost."),
        text("<think>b</think><search> Poland </search>"),
        text("<answer> złoty </answer>"),
    )
    with ThreadedServer(script) as server:
        words = ("--input-file", rows(tmp_path), "--vllm-url", server.base_url, "--retrieval-url", retrieval.url)
        done = run("run", "search-r1", *words, "--output-dir", "out")
    assert done.code == 0, done.err
    (trace,) = traces(Path("out"))
    assert server.requests[0].body["stop"] == ["<information>"]
    assert conversation(trace)[:-1] == sent(server.requests[-1])
    assert [role for role, _ in conversation(trace)] == ["user", "assistant"] * 4
    first, *later = [turn["messages"][0]["content"] for turn in trace["conversation_history"]]
    assert first.endswith(f"Question: {ROWS[0]['question']}")
    assert later == [
        '<information>\nDoc 1(Title: "Marie Curie") Marie Curie was born in Warsaw.\n</information>',
        NUDGE,
        '<information>\nDoc 1(Title: "Poland") Poland has the currency "złoty".\n</information>',
    ]
    assert retrieval.posts[0]["topk"] == 3
    assert trace["reward_score"]["em"] == 1.0
    assert trace["reward_score"]["support_recall"] == pytest.approx(2 / 3)


# rows and settings


def test_rows_of_verl_are_read_and_bad_ones_fail_alone(run: Run, tmp_path: Path, retrieval: ThreadedRetriever) -> None:
    lines: list[dict[str, Any]] = [
        {"prompt": [], "extra_info": {"question": "Who?", "answer": ""}, "reward_model": {"ground_truth": "Curie"}},
        {"prompt": [], "extra_info": {"question": " ", "answer": "x"}, "reward_model": {"ground_truth": "x"}},
        {"prompt": [], "extra_info": {"question": "Who?", "answer": ""}, "reward_model": {"ground_truth": ""}},
    ]
    with ThreadedServer(in_order(text("<answer>Marie Curie</answer>"))) as server:
        words = ("--input-file", rows(tmp_path, lines), "--vllm-url", server.base_url, "--retrieval-url", retrieval.url)
        done = run("run", "search", *words, "--output-dir", "out", "--max-failed", "1")
    assert done.code == 0, done.err
    (trace,) = traces(Path("out"))
    assert trace["reward_score"] == {"score": 0.0, "em": 0.0, "f1": pytest.approx(2 / 3), "parse_success": True}
    failed = {line["sample_index"]: (line["reason"], line["error"]) for line in traces(Path("out"), "failed")}
    assert failed == {
        1: ("bad_sample", "the row has no question, or an empty one: looked in question, extra_info.question, prompt"),
        2: (
            "bad_sample",
            "the row has no accepted answer: looked in extra_info.answer, reward_model.ground_truth",
        ),
    }


def test_a_dataset_without_answers_runs_and_says_that_it_scores_nothing(
    run: Run, tmp_path: Path, retrieval: ThreadedRetriever
) -> None:
    with ThreadedServer(in_order(text("<answer>Paris</answer>"))) as server:
        path = rows(tmp_path, [{"question": "Which city?"}])
        words = ("--input-file", path, "--vllm-url", server.base_url, "--retrieval-url", retrieval.url)
        done = run("run", "search", *words, "--output-dir", "out")
    assert done.code == 0, done.err
    assert "no column has an accepted answer, so em and f1 stay 0" in done.err
    assert traces(Path("out"))[0]["reward_score"] == {"score": 0.0, "em": 0.0, "f1": 0.0, "parse_success": True}


def test_a_dataset_without_questions_is_refused_before_the_first_request(run: Run, tmp_path: Path) -> None:
    path = rows(tmp_path, [{"text": "x"}])
    done = run("run", "search", "--input-file", path, "--vllm-url", "http://127.0.0.1:1/v1", "--output-dir", "out")
    assert done.code == 2
    assert "rename one of them to question" in done.err
    assert not Path("out").exists()


def test_the_documents_variables_count_for_this_job_alone(
    run: Run, tmp_path: Path, retrieval: ThreadedRetriever, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(body: dict[str, Any], number: int) -> Reply:
        return text("<answer>złoty</answer> \\boxed{1.5, 2.5}")

    with ThreadedServer(script) as server:
        for name, value in {
            "VLLM_URL": server.base_url,
            "RETRIEVAL_URL": retrieval.url,
            "INPUT_FILE": str(rows(tmp_path, ROWS * 3)),
            "OUTPUT_FILE": str(tmp_path / "traces.parquet"),
            "MAX_SAMPLES": "2",
            "MAX_TOKENS": "",
            "TEMPERATURE": "0.25",
        }.items():
            monkeypatch.setenv(name, value)
        assert run("run", "search").code == 0
        assert run("run", "geo", "--dataset-path", photos, "--base-url", server.base_url, "--num-samples", 1).code == 0
    assert [request.body["temperature"] for request in server.requests] == [0.25, 0.25, 0.7]
    assert {request.body["max_tokens"] for request in server.requests[:2]} == {2048}
    assert len(traces(tmp_path / "traces.run")) == 2
    assert (tmp_path / "traces.parquet").is_file()


def test_the_help_lists_the_flags_and_variables_of_the_job(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    shown = run("run", "search", "--help").out
    names = (
        "vllm-url",
        "retrieval-url",
        "max-assistant-turns",
        "max-samples",
        "input-file",
        "output-file",
        "batch-size",
    )
    for name in names:
        assert f"--{name}" in shown
        assert f"[variable: {name.replace('-', '_').upper()}]" in shown
    for name in ("TEMPERATURE", "MAX_TOKENS"):
        assert shown.count(f"[variable: {name}]") == 1
    assert "--vllm-url" not in run("run", "geo", "--help").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--max-samples", "1", "--num-samples", "2"), "--num-samples and --max-samples are two names of"),
        (("--vllm_url", "http://a/v1", "--base-url", "http://b/v1"), "are two names of base_url"),
        (("--batch_size", "many"), "--batch-size 'many'"),
        (("--max-assistant-turns", "0"), "--max-assistant-turns: episode.max_turns is 0"),
        (("--retrieval-url", "nowhere"), "'nowhere'"),
        (("--max-sample", "3"), "Did you mean --max-samples?"),
    ],
)
def test_a_wrong_flag_is_one_line_that_names_it(run: Run, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = run("run", "search", "--input-file", rows(tmp_path), *words)
    assert done.code == 2
    (line,) = done.complaints
    assert said in line


def test_a_task_of_ones_own_may_name_settings_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from dataclasses import dataclass\nfrom typing import ClassVar\nfrom asyncgen import Task\n\n"
        "@dataclass(frozen=True)\nclass Own(Task):\n    user: str = '{question}'\n    loud: bool = False\n"
        "    flags: ClassVar = {'rows': 'dataset.num_samples', 'loud': 'task.loud', 'server': 'base_url'}\n"
    )
    (tmp_path / "own.yaml").write_text(f"task: own.py:Own\ndataset: {{path: {rows(tmp_path, ROWS * 3)}}}\n")
    with ThreadedServer(in_order(text("yes"))) as server:
        assert run("run", "./own.yaml", "--server", server.base_url, "--rows=2", "--loud").code == 0
        assert len(server.requests) == 2


def test_a_flag_that_stands_for_nothing_is_told_to_the_tasks_author(run: Run, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(
        "from dataclasses import dataclass\nfrom typing import ClassVar\nfrom asyncgen import Task\n\n"
        "@dataclass(frozen=True)\nclass Wrong(Task):\n    flags: ClassVar = {'rows': 'dataset.num_sample'}\n"
    )
    (tmp_path / "wrong.yaml").write_text("task: wrong.py:Wrong\ndataset: {path: rows.jsonl}\n")
    done = run("run", "./wrong.yaml")
    assert done.code == 2
    assert "Wrong.flags: 'rows' stands for 'dataset.num_sample', which is no setting: did you mean" in done.err


def test_the_names_work_from_python(tmp_path: Path, retrieval: ThreadedRetriever) -> None:
    with ThreadedServer(NATIVE) as server:
        done = asyncgen.run(
            "search",
            vllm_url=server.base_url,
            retrieval_url=retrieval.url,
            input_file=rows(tmp_path, ROWS * 3),
            max_samples=2,
            output_dir=tmp_path / "out",
            progress=False,
        )
    assert [trace.reward_score["em"] for trace in done] == [1.0, 1.0]


def test_a_password_in_the_retrieval_address_is_not_written_down(
    run: Run, tmp_path: Path, retrieval: ThreadedRetriever
) -> None:
    address = retrieval.url.replace("http://", "http://user:hunter2@")
    with ThreadedServer(NATIVE) as server:
        words = ("--input-file", rows(tmp_path), "--vllm-url", server.base_url, "--retrieval-url", address)
        done = run("run", "search", *words, "--output-dir", "out")
    assert done.code == 0, done.err
    assert "hunter2" not in done.err + done.out
    assert [path for path in Path("out").rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()] == []
