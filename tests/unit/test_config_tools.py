"""The key `tools` of a job file: its shapes, and what is said about wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncgen.config.load import resolve
from asyncgen.config.schema import Job, McpSpec
from asyncgen.core.errors import InputError


def load(folder: Path, tools: str) -> Job:
    path = folder / "job.yaml"
    path.write_text(f"task: geo\ndataset: {{path: data}}\n{tools}\n")
    return resolve(path, environ={}, flags={})


def refused(folder: Path, tools: str) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, tools)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_tool_is_an_import_path_a_file_or_a_server(tmp_path: Path):
    job = load(tmp_path, "tools: [pkg.mod:lookup, 'gone.py:lookup', {mcp: python s.py, only: [a], env: [A_B]}]")
    assert job.tools == ("pkg.mod:lookup", "gone.py:lookup", McpSpec(mcp="python s.py", only=("a",), env=("A_B",)))


@pytest.mark.parametrize("tools", ["", "tools:", "tools: []"])
def test_a_job_without_tools_of_its_own_has_none(tmp_path: Path, tools: str):
    assert load(tmp_path, tools).tools == ()


def test_files_and_folders_of_tools_are_looked_for_beside_the_job_file(tmp_path: Path):
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "there").mkdir()
    job = load(tmp_path, "tools: ['mine.py:lookup', {mcp: a, cwd: there}, {mcp: a, cwd: .}, {mcp: a, cwd: elsewhere}]")
    assert job.tools[0] == f"{tmp_path}/mine.py:lookup"
    folders = [one.cwd for one in job.tools[1:] if isinstance(one, McpSpec)]
    assert folders == [f"{tmp_path}/there", str(tmp_path), "elsewhere"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/mcp", "https://host/mcp", "sse:http://127.0.0.1:1/sse"])
def test_an_address_is_told_from_a_command(address: str):
    assert McpSpec(mcp=address).is_url
    assert not McpSpec(mcp=f"python client.py {address}").is_url


@pytest.mark.parametrize(
    ("tools", "text"),
    [
        ("tools: {mcp: a}", "tools must be a list"),
        ("tools: [5]", "tools must be a list"),
        ("tools: [{mcp: a, onyl: [b]}]", "'tools[0].onyl': did you mean 'only'?"),
        ("tools: [{only: [b]}]", "tools[0] has no mcp: give a command or a URL"),
        ("tools: [{mcp: a, timeout: soon}]", "tools[0].timeout: it is a text; give a number"),
        ("tools: [{mcp: a, timeout: 0}]", "tools[0].timeout is 0.0: give seconds above 0"),
        ("tools: [{mcp: a, timeout: .nan}]", "tools[0].timeout is nan: give a finite number"),
        ("tools: [{mcp: a, only: []}]", "tools[0].only is empty: give names of tools, or null for all"),
        ("tools: [{mcp: a, prefix: a b}]", "tools[0].prefix is 'a b': give at most 32 letters, digits, _ and -"),
        ("tools: [nothing]", "tools[0] is 'nothing': give module:name or file.py:name, or {mcp: COMMAND}"),
        ("tools: ['a:b', 'a:b c']", "tools[1] is 'a:b c': give module:name"),
        ("tools: [{mcp: ' '}]", "tools[0].mcp is empty: give a command or a URL"),
        ("tools: [{mcp: http://h:1/mcp, cwd: a, env: [B]}]", "tools[0].cwd is for a server that is a command"),
        ("tools: [{mcp: 'http://h/m cp'}]", "has a blank in it"),
        ("tools: [{mcp: a, api_key: b}]", "keys are never written in files"),
    ],
)
def test_what_is_wrong_is_named_with_its_key_and_the_fix(tmp_path: Path, tools: str, text: str):
    assert text in refused(tmp_path, tools)


@pytest.mark.parametrize("tools", ["tools: [{mcp: \"a 'hunter2\"}]", "tools: [{mcp: a, env: [TOKEN=hunter2]}]",
                                   "tools: [{mcp: 'http://me:hunter2@h/m cp'}]"])  # fmt: skip
def test_a_value_that_may_be_a_secret_is_not_repeated(tmp_path: Path, tools: str):
    assert "hunter2" not in refused(tmp_path, tools)
