"""What the commands say beside their result."""

from __future__ import annotations

import pytest

from asyncgen.view.terminal import note


def test_a_note_cannot_steer_the_terminal_and_keeps_its_lines(capsys: pytest.CaptureFixture[str]):
    note("model a\x1b[2J\x07b\nsecond\tline")
    assert capsys.readouterr() == ("", "model ab\nsecond\tline\n")
