"""run.json, digests, diffs, and what must not be written down."""

from __future__ import annotations

import json

import pytest
from support.store_fakes import StillClock

from asyncgen.core.errors import DataError, InputError
from asyncgen.store.files import DISK
from asyncgen.store.run_file import config_diff, digest, read_run, redact, write_run


def test_run_json_comes_back_with_version_and_times(tmp_path):
    clock = StillClock()
    write_run(tmp_path, {"name": "geo", "task": "geo"}, files=DISK, clock=clock)
    first = read_run(tmp_path)
    assert first["name"] == "geo"
    assert first["asyncgen"]
    assert first["started"] == first["updated"]
    clock.now += 60
    write_run(tmp_path, first, files=DISK, clock=clock)
    second = read_run(tmp_path)
    assert second["started"] == first["started"] < second["updated"]
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_run_json_holds_no_secret(tmp_path):
    run = {
        "argv": ["asyncgen", "run", "--base-url", "http://me:hunter2@host/v1?key=hunter2&x=1", "--token", "hunter2"],
        "config": {"endpoints": [{"headers": {"Authorization": "Bearer hunter2"}, "api_key": "hunter2"}]},
    }
    write_run(tmp_path, run, files=DISK, clock=StillClock())
    assert "hunter2" not in (tmp_path / "run.json").read_text()
    assert read_run(tmp_path)["argv"][3] == "http://***@host/v1?key=***&x=1"


def test_a_folder_without_run_json_is_named(tmp_path):
    with pytest.raises(InputError, match=r"is not a run directory \(no run.json\)"):
        read_run(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_an_unreadable_run_json_is_a_data_error(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataError, match=r"run\.json"):
        read_run(tmp_path)


def test_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": {"c": [1, 2], "d": "é"}}) == digest({"b": {"d": "é", "c": [1, 2]}, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert len(digest({})) == 12
    assert int(digest({"a": "\ud800"}), 16) >= 0


def test_diff_names_each_leaf_with_both_values():
    old = {"sampling": {"temperature": 0.7, "seed": None}, "tools": [{"name": "zoom"}], "gone": 1}
    new = {"sampling": {"temperature": 0.9, "seed": None}, "tools": [{"name": "zoom"}, {"name": "rotate"}]}
    assert config_diff(old, new) == [
        "sampling.temperature: 0.7 -> 0.9",
        "gone: 1 -> (none)",
        'tools[1].name: (none) -> "rotate"',
    ]
    assert config_diff(old, old) == []


def test_what_was_empty_is_told_by_what_came_into_it():
    old = {"extra_body": {}, "temperatures": None, "stop": []}
    new = {"extra_body": {"top_k": 3}, "temperatures": [0.7], "stop": []}
    assert config_diff(old, new) == ["extra_body.top_k: (none) -> 3", "temperatures[0]: (none) -> 0.7"]
    assert config_diff(new, old) == ["extra_body.top_k: 3 -> (none)", "temperatures[0]: 0.7 -> (none)"]
    assert config_diff({"seed": None}, {"seed": 1}) == ["seed: null -> 1"]


def test_a_leaf_whose_name_another_ones_starts_with_is_told():
    assert config_diff({"e": {"a": None, "a.b": 1}}, {"e": {"a": 5, "a.b": 1}}) == ["e.a: null -> 5"]


def test_diff_shows_a_long_text_around_its_first_difference():
    old = "x" * 500 + "OLD" + "y" * 500
    new = "x" * 500 + "NEW" + "y" * 500
    (line,) = config_diff({"system": old}, {"system": new})
    assert "OLD" in line
    assert "NEW" in line
    assert len(line) < 160
    assert "\n" not in line


def test_diff_shows_a_long_text_that_another_one_starts_with():
    (line,) = config_diff({"system": "x" * 500}, {"system": "x" * 500 + " more"})
    assert "more" in line


def test_diff_shows_no_secret():
    old = {"url": "http://a:hunter2@h/v1", "api_key": "hunter2"}
    assert "hunter2" not in json.dumps(config_diff(old, {"url": "http://h/v1"}))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"api_key_env": "OPENAI_API_KEY"}, {"api_key_env": "OPENAI_API_KEY"}),
        ({"max_tokens": 2048, "prompt_tokens": 1}, {"max_tokens": 2048, "prompt_tokens": 1}),
        ({"x-api-key": "s", "HF_TOKEN": "s", "password": ""}, {"x-api-key": "***", "HF_TOKEN": "***", "password": ""}),
        ("Say: the {secret} is: {not, yaml", "Say: the {secret} is: {not, yaml"),
        ("https://u:p@ss@h.example/p?access_token=s#f", "https://***@h.example/p?access_token=***#f"),
        ("mail me@home", "mail me@home"),
        (
            {"task_options": {"user": "Secret: say it\nSee http://u:p@h?token=x", "judge_api_key": "s"}},
            {"task_options": {"user": "Secret: say it\nSee http://u:p@h?token=x", "judge_api_key": "***"}},
        ),
        (
            {"extra_body": {"headers": "Authorization: s s", "cfg": '{"api_key": "s"}', "args": ["--api-key", "s"]}},
            {"extra_body": {"headers": "Authorization: ***", "cfg": '{"api_key": ***}', "args": ["--api-key", "***"]}},
        ),
        (("a", 1, None, True), ["a", 1, None, True]),
    ],
)
def test_redaction_takes_secrets_and_nothing_else(value, expected):
    assert redact(value) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--api-key=s", "--max-tokens", "5"], ["--api-key=***", "--max-tokens", "5"]),
        (['{"api_key":"s", "top_k": 2}'], ['{"api_key":***, "top_k": 2}']),
        (["{api_key: s, top_k: 2}", "x"], ["{api_key: ***, top_k: 2}", "x"]),
        (["--sampling.extra-body={a: [{X-Api-Key: s s}]}"], ["--sampling.extra-body={a: [{X-Api-Key: ***}]}"]),
        (["--sampling.extra-body", "password: s\ntop_k: 2"], ["--sampling.extra-body", "password: ***\ntop_k: 2"]),
        (["{token: &one {secret: s}, cookie: *one, x: 1}"], ["{token: ***, cookie: *one, x: 1}"]),
        (["{x: &one s, token: *one}"], ["{x: ***, token: *one}"]),
        (["&one {secret: s, x: *one}"], ["&one {secret: s, x: *one}"]),
        (['{"secret": "", "token": [], "max_tokens": 5}'], ['{"secret": "", "token": [], "max_tokens": 5}']),
        (["{url: 'http://u:s@h/v1', token: s}"], ["{url: 'http://***@h/v1', token: ***}"]),
    ],
)
def test_redaction_takes_the_secrets_of_a_command_line(words, expected):
    assert redact(words) == expected
