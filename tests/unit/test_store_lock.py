"""The lock of a run directory."""

from __future__ import annotations

import os
import socket

import pytest
from support.store_fakes import StillClock

from asyncgen.core.errors import DirectoryInUse
from asyncgen.store.files import DISK, FileLayer
from asyncgen.store.holder import read_holder
from asyncgen.store.lock import take_lock


def test_a_held_lock_names_pid_host_start_and_command(tmp_path):
    lock = take_lock(tmp_path, DISK)
    lock.sign(["asyncgen", "run", "my job", "--task.user", "line\nline"], StillClock())
    with pytest.raises(DirectoryInUse) as caught:
        take_lock(tmp_path, DISK)
    text = str(caught.value)
    assert f"pid {os.getpid()} on {socket.gethostname()} since 2025-" in text
    assert "asyncgen run 'my job'" in text
    assert "\n" not in text
    lock.release()


def test_a_released_lock_leaves_its_file_and_lets_the_next_one_in(tmp_path):
    first = take_lock(tmp_path, DISK)
    first.sign(["first", "with", "a", "long", "command"], StillClock())
    first.release()
    first.release()
    second = take_lock(tmp_path, DISK)
    second.sign(["second"], StillClock())
    holder = read_holder(tmp_path)
    assert holder is not None
    assert holder.argv == ("second",)
    second.release()
    assert (tmp_path / "LOCK").exists()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"host": "h"}', b"\xff\0"])
def test_a_torn_text_in_the_lock_hides_only_the_name_of_the_holder(tmp_path, text):
    lock = take_lock(tmp_path, DISK)
    (tmp_path / "LOCK").write_bytes(text)
    assert read_holder(tmp_path) is None
    with pytest.raises(DirectoryInUse, match="in use by another process"):
        take_lock(tmp_path, DISK)
    lock.release()


def test_a_lock_file_that_vanished_before_it_was_locked_is_made_again(tmp_path):
    class Removing(FileLayer):
        """Another start discards its new directory between our open and our lock."""

        removed = False

        def open(self, path, *, create=False, empty=False):
            descriptor = super().open(path, create=create, empty=empty)
            if not self.removed:
                path.unlink()
                self.removed = True
            return descriptor

    lock = take_lock(tmp_path, Removing())
    with pytest.raises(DirectoryInUse):
        take_lock(tmp_path, DISK)
    lock.release()
