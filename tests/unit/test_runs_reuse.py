"""What is refused of a takeover before a directory is opened, and how a trace is marked."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.runs_on_disk import line, make_run

from asyncgen.core.errors import InputError
from asyncgen.runs.reuse import Reuse, check_reuse, marked, reuse_of
from asyncgen.store.card import METADATA, REUSED_FROM


def noted(old: Path, *, complete: bool, redo: str = "") -> dict[str, object]:
    return {"reused": {"from": str(old), "redo": redo, "complete": complete, "traces": 1}}


def test_redo_says_nothing_without_a_run_to_take_from() -> None:
    assert reuse_of(None, None) is reuse_of(None, "") is None
    assert reuse_of("old", " true ") == Reuse(path=Path("old"), redo="true")
    with pytest.raises(InputError, match="give --reuse OLD_DIR too"):
        reuse_of(None, "true")


def test_a_start_without_the_flags_goes_on_only_where_all_was_taken(tmp_path: Path) -> None:
    old = tmp_path / "old"
    assert check_reuse(tmp_path / "none", None) is None
    assert check_reuse(make_run(tmp_path / "whole", [line(1)], run=noted(old, complete=True)), None) is None
    part = make_run(tmp_path / "part", [line(1)], run=noted(old, complete=False, redo="score < 1"))
    with pytest.raises(InputError) as caught:
        check_reuse(part, None)
    assert f"run the same command with --reuse {old} --redo 'score < 1' again" in str(caught.value)


def test_an_older_run_that_is_gone_is_missed_only_where_something_is_still_to_be_taken(tmp_path: Path) -> None:
    reuse = Reuse(path=tmp_path / "old")
    whole = make_run(tmp_path / "whole", [line(1)], run=noted(tmp_path / "old", complete=True))
    part = make_run(tmp_path / "part", [line(1)], run=noted(tmp_path / "old", complete=False))
    assert check_reuse(whole, reuse) is None
    with pytest.raises(InputError, match="does not exist"):
        check_reuse(part, reuse)
    make_run(tmp_path / "old", [line(1)])
    assert check_reuse(whole, reuse) == check_reuse(part, reuse) == reuse


def test_a_link_to_the_same_directory_is_the_same_directory(tmp_path: Path) -> None:
    old = make_run(tmp_path / "old", [line(1)])
    (tmp_path / "link").symlink_to(old)
    with pytest.raises(InputError, match="own directory"):
        check_reuse(tmp_path / "link", Reuse(path=old))
    new = make_run(tmp_path / "new", [line(1)], run=noted(old, complete=True))
    assert check_reuse(new, Reuse(path=tmp_path / "link")) is not None


def test_the_mark_stands_after_what_every_trace_has_and_before_the_headline() -> None:
    usual = dict.fromkeys(METADATA, 0)
    for before in ({**usual, "score": 1.0}, {**usual, "score": 1.0, REUSED_FROM: "/runs/older"}):
        found = marked(before, "/runs/old")
        assert list(found) == [*METADATA, REUSED_FROM, "score"]
        assert found[REUSED_FROM] == "/runs/old"
