"""The help of every command: what it does in its first line, and examples that are commands."""

import re
import shlex

import pytest

from asyncgen.cli.app import build

APP = build()
COMMANDS = [name for name in APP if not name.startswith("-")]


def shown(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    APP([name, "--help"])
    return capsys.readouterr().out


def test_these_are_the_commands():
    looks = {"status", "ls", "show", "sql", "stats", "verify"}
    serves = {"serve-model", "serve-retrieval", "serve-reward"}
    maths = {"filter-mixed", "critique-set", "critique-format", "pipeline", "fleet"}
    others = {"run", "check", "ctl", "export", "filter", "merge", "rescore", "jobs", "init"}
    assert set(COMMANDS) == looks | serves | maths | others


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_ends_with_examples_of_the_command(name: str, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    text = shown(name, capsys)
    _, found, examples = text.partition("\nExamples:\n")
    assert found, text
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    assert lines
    for line in lines:
        assert shlex.split(line)[:2] == ["asyncgen", name]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_with_figures_gives_them_as_json(name: str, capsys: pytest.CaptureFixture[str]):
    text = shown(name, capsys)
    assert ("--json" in text) == (name not in {"init", "serve-model", "serve-retrieval", "serve-reward"})
    assert not re.search(r"\bOPTIONS\] KNOBS\b", text)
