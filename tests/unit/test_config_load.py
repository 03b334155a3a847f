"""Where a value comes from, and what is said about a wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import pytest

from asyncgen.config.knobs import docstrings, section_knobs, task_knobs
from asyncgen.config.load import job_file, job_names, jobs_folder, nearest, read_environment, read_yaml, resolve
from asyncgen.config.schema import SECTIONS, EndpointSpec, Job, parse_partition
from asyncgen.core.errors import InputError
from asyncgen.core.task import Task
from asyncgen.tasks.geo import GeoTools

BASE = "task: geo\ndataset: {path: data}\n"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def text(content: str = "", *, base: str = BASE) -> Path:
        path = tmp_path / "job.yaml"
        path.write_text(base + content)
        return path

    return text


def load(path: Path, environ: Mapping[str, str] | None = None, **flags: Any) -> Job:
    given = {name.replace("__", "."): value for name, value in flags.items()}
    return resolve(path, environ=environ or {}, flags=given, task_knobs=task_knobs(GeoTools))


def refused(path: Path, environ: Mapping[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(path, environ, **flags)
    text = str(caught.value)
    assert "\n" not in text
    return text


# precedence


def test_without_anything_defaults_hold(write: Any) -> None:
    job = load(write())
    assert (job.name, job.sampling.temperature, job.endpoints) == ("job", 0.7, (EndpointSpec(),))


@pytest.mark.parametrize(
    ("section", "name", "variable", "written", "texts", "values"),
    [
        ("sampling", "temperature", "ASYNCGEN_SAMPLING_TEMPERATURE", "0.1", ("0.2", "0.3"), (0.1, 0.2, 0.3)),
        ("episode", "max_turns", "ASYNCGEN_EPISODE_MAX_TURNS", "1", ("2", "3"), (1, 2, 3)),
        ("episode", "final_turn", "ASYNCGEN_EPISODE_FINAL_TURN", "false", ("true", "false"), (False, True, False)),
        ("dataset", "where", "ASYNCGEN_DATASET_WHERE", "'a'", ("b = 1", "c: [1"), ("a", "b = 1", "c: [1")),
        ("schedule", "concurrency", "ASYNCGEN_SCHEDULE_CONCURRENCY", "4", ("auto", "8"), (4, "auto", 8)),
        (
            "store",
            "durability",
            "ASYNCGEN_STORE_DURABILITY",
            "never",
            ("always", "never"),
            ("never", "always", "never"),
        ),
    ],
)
def test_a_flag_beats_the_environment_which_beats_the_file(
    write: Any, section: str, name: str, variable: str, written: str, texts: tuple[str, str], values: tuple[Any, ...]
) -> None:
    base = "task: geo\n" if section == "dataset" else BASE
    more = "path: data, " if section == "dataset" else ""
    path = write(f"{section}: {{{more}{name}: {written}}}\n", base=base)
    environ = {variable: texts[0]}
    flag = {f"{section}__{name}": texts[1]}
    found = [load(path), load(path, environ), load(path, environ, **flag)]
    assert [getattr(getattr(job, section), name) for job in found] == list(values)


def test_one_field_of_a_section_leaves_the_others_as_they_were(write: Any) -> None:
    job = load(
        write("sampling: {temperature: 0.1, max_tokens: 9}\n"), {"ASYNCGEN_SAMPLING_TOP_P": "0.5"}, sampling__seed="3"
    )
    assert (job.sampling.temperature, job.sampling.max_tokens, job.sampling.top_p, job.sampling.seed) == (
        0.1,
        9,
        0.5,
        3,
    )


def test_an_empty_variable_is_no_variable(write: Any) -> None:
    environ = {"ASYNCGEN_SAMPLING_TEMPERATURE": "", "ASYNCGEN_NO_SUCH_THING": "", "OTHER": "x"}
    assert load(write("sampling: {temperature: 0.1}\n"), environ).sampling.temperature == 0.1


def test_null_unsets_an_optional_field(write: Any) -> None:
    assert load(write("sampling: {seed: 5}\n"), sampling__seed="null").sampling.seed is None


TWO = "endpoints: [{base_url: 'http://a/v1', model: m, api_key_env: KEY, max_concurrency: 3}, {base_url: 'http://b/v1'}]\n"


def test_base_url_replaces_the_list_and_keeps_model_and_key_variable(write: Any) -> None:
    job = load(write(TWO), base_url=["http://c/v1", "http://d/v1"])
    assert job.endpoints == tuple(
        EndpointSpec(base_url=url, model="m", api_key_env="KEY") for url in ("http://c/v1", "http://d/v1")
    )


def test_model_goes_to_every_endpoint(write: Any) -> None:
    job = load(write(TWO), model="x")
    assert [(one.base_url, one.model) for one in job.endpoints] == [("http://a/v1", "x"), ("http://b/v1", "x")]
    assert job.endpoints[0].max_concurrency == 3


def test_base_urls_and_model_may_come_from_the_environment(write: Any) -> None:
    environ = {"ASYNCGEN_BASE_URL": "http://c/v1, http://d/v1", "ASYNCGEN_MODEL": "x"}
    job = load(write(TWO), environ)
    assert [(one.base_url, one.model) for one in job.endpoints] == [("http://c/v1", "x"), ("http://d/v1", "x")]
    assert load(write(TWO), environ, model="y").endpoints[0].model == "y"


def test_task_options_are_merged_field_by_field(write: Any) -> None:
    job = load(write("task_options: {user: a, tool_calls: text}\n"), {"ASYNCGEN_TASK_USER": "b"}, task__nudge="go: [on")
    assert job.task_options == {"user": "b", "tool_calls": "text", "nudge": "go: [on"}


@pytest.mark.parametrize("section", ["task_options", "endpoints", "name", *SECTIONS])
def test_a_null_section_is_as_if_it_were_not_there(write: Any, section: str) -> None:
    path = write(f"{section}: null\n", base="task: geo\n")
    assert load(path, dataset__path="data", task__nudge="x") == load(
        write(base="task: geo\n"), dataset__path="data", task__nudge="x"
    )


# wrong input


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("sampling: {temprature: 1}\n", ["job.yaml", "'sampling.temprature'", "did you mean 'temperature'?"]),
        ("sampling: {}\nsamplin: {}\n", ["job.yaml", "'samplin'", "did you mean 'sampling'?"]),
        ("endpoints: [{baseurl: x}]\n", ["job.yaml", "'endpoints[].baseurl'", "did you mean 'base_url'?"]),
        ("endpoints: {base_url: x}\n", ["job.yaml", "endpoints must be a list of mappings"]),
        ("endpoints: []\n", ["endpoints is empty"]),
        ("endpoints: [{base_url: 'localhost:8000'}]\n", ["'localhost:8000'", "http://"]),
        ("endpoints: [{max_concurrency: 0}]\n", ["max_concurrency is 0"]),
        ("sampling: [1]\n", ["job.yaml", "sampling must be a mapping"]),
        ("task_options: [1]\n", ["job.yaml", "task_options must be a mapping"]),
        ("episode: {max_turns: many}\n", ["job.yaml", "episode.max_turns", "it is a text; give a whole number"]),
        ("episode: {max_turns: true}\n", ["job.yaml", "episode.max_turns", "it is a truth value"]),
        ("episode: {max_turns: 0}\n", ["episode.max_turns is 0"]),
        ("sampling: {temperature: null}\n", ["job.yaml", "sampling.temperature", "it is null"]),
        ("sampling: {extra_body: {1: 2}}\n", ["job.yaml", "sampling.extra_body"]),
        ("sampling: {extra_body: {stream: true}}\n", ["sampling.extra_body has stream"]),
        ("sampling: {top_p: 1.5}\n", ["sampling.top_p is 1.5"]),
        ("sampling: {seed: 99999999999999999999}\n", ["sampling.seed is 99999999999999999999"]),
        ("sampling: {temperatures: [0.1]}\nepisode: {rollouts: 2}\n", ["1 values for 2 rollouts"]),
        ("sampling: {temperatures: [-1.0]}\n", ["sampling.temperatures is [-1.0]"]),
        ("schedule: {concurrency: lots}\n", ["job.yaml", "schedule.concurrency", "'lots'", "auto"]),
        ("schedule: {partition: 8/8}\n", ["'8/8'", "k/K"]),
        ("schedule: {max_failed: 2}\n", ["schedule.max_failed is 2"]),
        ("store: {disk_wait: -1}\n", ["store.disk_wait is -1"]),
        ("endpoint: {max_outage: -1}\n", ["endpoint.max_outage is -1"]),
        ("accept: [score]\n", ["job.yaml", "accept: it is a list; give a text"]),
        ("name: a/b\n", ["'a/b'"]),
        ("name: ..\n", ["'..'"]),
        ("x: 2024-13-45\n", ["job.yaml", "not valid YAML"]),
        ("x: [\n", ["job.yaml", "not valid YAML"]),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_its_place(write: Any, content: str, words: list[str]) -> None:
    text = refused(write(content))
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize(
    "content",
    [
        "sampling: {temperature: .nan}\n",
        "sampling: {temperature: .inf}\n",
        "sampling: {top_p: .nan}\n",
        "sampling: {temperatures: [0.5, .inf]}\n",
        "sampling: {extra_body: {penalty: .nan}}\n",
        "episode: {deadline: .inf}\n",
        "schedule: {grace: .nan}\n",
        "task_options: {scale_km: -.inf}\n",
    ],
)
def test_numbers_that_json_cannot_write_are_refused(write: Any, content: str) -> None:
    assert "give a finite number" in refused(write(content))


def test_a_wrong_word_is_answered_with_the_nearest(write: Any) -> None:
    path = write("dataset: {order: hardest}\n", base="task: geo\n")
    assert refused(path).endswith("dataset.order: 'hardest' is no choice: did you mean 'hardest_first'?")


def test_a_wrong_flag_is_named_as_the_flag_that_was_given(write: Any) -> None:
    assert refused(write(), episode__max_turns="abc").startswith("--max-turns 'abc'")
    assert refused(write(), sampling__temperature="a: [").startswith("--temperature: 'a: [' cannot be read as YAML")


def test_a_wrong_variable_is_named_as_such(write: Any) -> None:
    text = refused(write(), {"ASYNCGEN_EPISODE_MAX_TURNS": "abc"})
    assert text.startswith("ASYNCGEN_EPISODE_MAX_TURNS 'abc'")


def test_an_unknown_variable_is_named_with_the_nearest(write: Any) -> None:
    text = refused(write(), {"ASYNCGEN_SAMPLING_TEMPRATURE": "1"})
    assert text == (
        "unknown environment variable ASYNCGEN_SAMPLING_TEMPRATURE: did you mean 'ASYNCGEN_SAMPLING_TEMPERATURE'?"
    )


def test_a_dataset_must_be_named(write: Any) -> None:
    assert refused(write(base="task: geo\n")) == "dataset.path is missing: give --dataset-path PATH"


@pytest.mark.parametrize(
    ("base", "words"), [("", "'task: NAME'"), ("- 1\n", "'task: NAME'"), ("name: x\n", "'task' is missing")]
)
def test_a_file_without_a_task_says_what_to_write(write: Any, base: str, words: str) -> None:
    assert words in refused(write(base=base))


@pytest.mark.parametrize(
    "text",
    [
        "sampling: {extra_body: {one: &a {top_k: 1, x: 2}, two: {<<: *a, x: 3}, three: {<<: *a}}}\n",
        "sampling: {extra_body: {one: {base: &b {x: 1, y: 2}, a: &a {<<: *b, y: 3}}, two: {<<: *a}}}\n",
        "sampling: {extra_body: {1: one, '1': two}}\n",
    ],
)
def test_merged_keys_and_keys_of_two_kinds_are_no_doubles(write: Any, text: str) -> None:
    assert read_yaml(write(text))["sampling"]["extra_body"]


@pytest.mark.parametrize("text", ["sampling: {seed: 1, seed: 2}\n", "endpoints: [{model: a, model: b}]\n"])
def test_a_key_that_stands_twice_is_refused_wherever_it_is(write: Any, text: str) -> None:
    with pytest.raises(InputError, match="stands 2 times"):
        read_yaml(write(text))


def test_a_file_that_is_no_text_says_so(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="cannot be read"):
        read_yaml(path)


@pytest.mark.parametrize(
    ("flag", "text", "end"),
    [
        ("schedule__concurrency", "max", "concurrency: 'max' is no choice; give a whole number or auto"),
        ("sampling__temperature", "hot", "--temperature 'hot': temperature: it is a text; give a number"),
        ("sampling__temperatures", "[a]", "; give a number"),
        ("sampling__temperatures", "0.3,0.7", "it is a text; give a list of numbers in square brackets or null"),
        ("sampling__extra_body", "top_k", "it is a text; give a mapping, as {key: value}"),
        ("sampling__extra_body", "{top_k: 20", "cannot be read as YAML: expected ',' or '}', but got '<stream end>'"),
        ("sampling__seed", "x", "; give a whole number or null"),
        ("episode__final_turn", "maybe", "; give true or false"),
        ("task__tool_calls", "yes", "tool_calls: 'yes' is no choice; give auto, native or text"),
        ("task__tool_calls", "nativ", ": did you mean 'native'?"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_answered_with_what_to_give(write: Any, flag: str, text: str, end: str) -> None:
    assert refused(write(), None, **{flag: text}).endswith(end)


def test_a_word_that_yaml_makes_a_bool_of_is_answered_with_the_words_there_are(write: Any) -> None:
    text = refused(write("dataset: {order: yes}\n", base="task: geo\n"))
    assert text.endswith("it is a truth value; give hardest_first, easiest_first or dataset")


def test_a_flag_that_takes_words_takes_those_that_yaml_would_make_something_else_of() -> None:
    @dataclass(frozen=True)
    class City(Task):
        hint: Literal["yes", "no"] = "no"

    job = resolve(
        job_file("geo"),
        environ={"ASYNCGEN_TASK_HINT": "yes"},
        flags={"dataset.path": "data"},
        task_knobs=task_knobs(City),
    )
    assert job.task_options["hint"] == "yes"


# servers and keys

KEY = "sk-very-secret-0123456789"
MANY = "more than one address: repeat the flag: --base-url A --base-url B"


def test_a_key_in_the_place_of_a_variables_name_is_refused_and_not_repeated(write: Any) -> None:
    text = refused(write(f"endpoints: [{{base_url: 'http://a/v1'}}, {{api_key_env: {KEY}}}]\n"))
    assert text == "endpoints[1].api_key_env must be the NAME of an environment variable (as OPENAI_API_KEY), not a key"


def test_an_empty_name_of_a_variable_means_no_key(write: Any) -> None:
    local = load(write("endpoints: [{base_url: 'http://a/v1', api_key_env: ''}]\n"))
    assert [one.api_key_env for one in local.endpoints] == [""]


def test_two_keys_of_one_server_are_two_endpoints(write: Any) -> None:
    two = "endpoints: [{base_url: 'http://a/v1', api_key_env: A}, {base_url: 'http://a/v1/', api_key_env: B}]\n"
    assert [one.api_key_env for one in load(write(two)).endpoints] == ["A", "B"]


@pytest.mark.parametrize("address", ["http://h/a,b/v1", "http://u:p,w@h/v1", "http://[::1]:8000/v1", "https://h:1/v1/"])
def test_an_unusual_address_is_one_address(write: Any, address: str) -> None:
    assert [one.base_url for one in load(write(), base_url=[address]).endpoints] == [address]


@pytest.mark.parametrize("name", ["temperature", "max_tokens", "top_p", "seed"])
def test_a_field_with_a_setting_of_its_own_is_refused_in_extra_body_unless_it_is_null(write: Any, name: str) -> None:
    text = refused(write(f"sampling: {{extra_body: {{{name}: 1}}}}\n"))
    assert text == f"sampling.extra_body has {name}: give sampling.{name} instead"
    assert load(write(f"sampling: {{extra_body: {{{name}: null}}}}\n")).sampling.extra_body == {name: None}


@pytest.mark.parametrize(
    "content",
    [
        f"endpoints: [{{api_key: {KEY}}}]\n",
        f"endpoint: {{apikey: {KEY}}}\n",
        f"OPENAI_API_KEY: {KEY}\n",
        f"auth_token: {KEY}\n",
    ],
)
def test_a_key_in_the_file_is_answered_with_where_keys_go(write: Any, content: str) -> None:
    text = refused(write(content))
    assert "export OPENAI_API_KEY=…, or name another variable in api_key_env" in text
    assert KEY not in text


def test_a_key_in_a_variable_of_ours_is_answered_with_where_keys_go(write: Any) -> None:
    text = refused(write(), {"ASYNCGEN_API_KEY": KEY})
    assert text.startswith("unknown environment variable ASYNCGEN_API_KEY: keys are never written")
    assert KEY not in text


def test_a_key_that_looks_like_a_key_only_by_its_end_is_an_ordinary_slip(write: Any) -> None:
    assert refused(write("sampling: {max_token: 3}\n")).endswith("did you mean 'max_tokens'?")


@pytest.mark.parametrize(
    ("addresses", "text"),
    [
        (["http://a/v1,http://b/v1"], f"base_url 'http://a/v1,http://b/v1' is {MANY}"),
        (["http://a/v1 http://b/v1"], f"base_url 'http://a/v1 http://b/v1' is {MANY}"),
        (["http://me:pw@a/v1,http://me:pw@b/v1"], f"base_url 'http://***@a/v1,http://***@b/v1' is {MANY}"),
        (
            ["http://a/chat/completions"],
            "base_url 'http://a/chat/completions' goes too far: leave /chat/completions away",
        ),
        (["http://a/v1/completions/"], "base_url 'http://a/v1/completions/' goes too far: leave /completions away"),
        (["http://a/v1", "http://b/v1", "http://a/v1/"], "base_url 'http://a/v1' is given twice: leave one away"),
        (["a:8000/v1"], "base_url 'a:8000/v1' does not start with http:// or https://"),
        (["http://a/v1 "], "base_url 'http://a/v1 ' has a blank in it: take it out"),
        (["http://u:p,w@h/ v1"], "base_url 'http://***@h/ v1' has a blank in it: take it out"),
        (["http:/u:secret@h/v1"], "base_url 'http:/***@h/v1' does not start with http:// or https://"),
        (
            ["http://u:p#w@h/v1"],
            "base_url 'http://***@h/v1' has an @ after a / ? or #: write those of a password as %2F, %3F, %23",
        ),
        (["me:pw@a:8000/v1"], "base_url '***@a:8000/v1' does not start with http:// or https://"),
    ],
)
def test_a_slip_in_an_address_is_named(write: Any, addresses: list[str], text: str) -> None:
    assert refused(write(), base_url=addresses) == text


def test_two_models_of_one_server_are_two_endpoints(write: Any) -> None:
    two = "endpoints: [{base_url: 'http://a/v1', model: m}, {base_url: 'http://a/v1', model: n}]\n"
    assert [one.model for one in load(write(two)).endpoints] == ["m", "n"]
    assert "is given twice" in refused(write(two), model="m")


# names


def test_an_unknown_job_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'geo-tools'"):
        job_file("geo-tool")


def test_a_job_name_is_never_looked_up_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "geo.yaml").write_text("task: other")
    monkeypatch.chdir(tmp_path)
    assert job_file("geo") == jobs_folder() / "geo.yaml"
    assert job_file("./geo.yaml") == Path("geo.yaml")


def test_a_job_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"'nowhere/x\.yaml' does not exist"):
        job_file("nowhere/x.yaml")


@pytest.mark.parametrize("name", ["geo", "geo-tools"])
def test_every_built_in_job_resolves(name: str) -> None:
    assert name in job_names()
    job = resolve(job_file(name), environ={}, flags={"dataset.path": "data"})
    assert (job.name, job.dataset.order, job.dataset.num_samples) == (name, "hardest_first", 10)


@pytest.mark.parametrize(("name", "turns", "final", "tokens"), [("geo", 1, False, 4096), ("geo-tools", 10, True, 2048)])
def test_the_built_in_jobs_have_their_documents_defaults(name: str, turns: int, final: bool, tokens: int) -> None:
    job = resolve(job_file(name), environ={}, flags={"dataset.path": "data"})
    assert (job.episode.max_turns, job.episode.final_turn, job.sampling.max_tokens) == (turns, final, tokens)


def test_without_a_near_name_the_known_ones_are_listed() -> None:
    assert nearest("qqq", ["alpha", "beta"]) == " (known: alpha, beta)"


# knobs


def test_every_knob_has_a_docstring_and_a_flag_of_its_own() -> None:
    knobs = [*section_knobs(), *task_knobs(GeoTools)]
    assert [one.path for one in knobs if not one.docstring] == []
    for names in ([flag for one in knobs for flag in one.flags], [one.variable for one in knobs]):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("owner", [EndpointSpec, Task])
def test_every_other_field_of_the_file_has_a_docstring_too(owner: type) -> None:
    assert set(docstrings(owner)) >= {one.name for one in fields(owner)}


def test_the_flags_that_every_job_has_are_there() -> None:
    flags = {flag for one in section_knobs() for flag in one.flags}
    wanted = "--dataset-path --output-dir --num-samples --rollouts --max-turns --temperature --max-tokens --concurrency"
    assert {*wanted.split(), "--partition", "--where", "--order-by", "--seed", "--max-failed"} <= flags


def test_a_tasks_own_fields_are_flags_and_variables() -> None:
    @dataclass(frozen=True)
    class City(Task):
        hint: Literal["yes", "no"] = "no"
        """Tell the model the continent."""

    (hint,) = [one for one in task_knobs(City) if one.name == "hint"]
    assert (hint.flags, hint.variable) == (("--task.hint",), "ASYNCGEN_TASK_HINT")
    assert hint.docstring == "Tell the model the continent."


def test_the_environment_is_read_by_path() -> None:
    assert read_environment({"ASYNCGEN_NAME": "x", "ASYNCGEN_STORE_OUTPUT_DIR": "o"}, section_knobs()) == {
        "name": "x",
        "store.output_dir": "o",
    }


@pytest.mark.parametrize(
    ("text", "parts"), [(None, None), ("", None), ("0/1", (0, 1)), ("3/8", (3, 8)), ("07/10", (7, 10))]
)
def test_a_partition_is_k_of_K(text: str | None, parts: tuple[int, int] | None) -> None:  # noqa: N802  # k and K are its names
    assert parse_partition(text) == parts


@pytest.mark.parametrize("text", ["8/8", "1", "/", "a/b", "-1/4", "1/0", "1/2/3", "0.5/2", " 1/2"])
def test_anything_else_is_no_partition(text: str) -> None:
    with pytest.raises(ValueError, match="is not k/K"):
        parse_partition(text)
