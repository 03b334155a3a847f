"""One dataset for all tests of the commands, and the commands within this process: each costs milliseconds there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli_jobs import Outcome, save_photos

from asyncgen.cli import call

Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight rows."""
    return save_photos(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`run("status", DIR)` in an empty working directory. An exception that escapes fails the test."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "TEST_KEY"):
        monkeypatch.delenv(name, raising=False)

    def _run(*words: object) -> Outcome:
        capfd.readouterr()
        code = call([str(word) for word in words])
        return Outcome(code, *capfd.readouterr())

    return _run
