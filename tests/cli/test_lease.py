"""A run directory on a shared file system, from outside: another machine works there, worked there, takes it over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from support.cli_jobs import Outcome, answering, ended, ids, start, wait_until, wanted_ids
from support.lock_fakes import leave_lock, set_age
from support.runs_on_disk import files_of
from support.server import ThreadedServer, hang

Run = Callable[..., Outcome]


def job(photos: Path, out: Path, server: ThreadedServer) -> tuple[object, ...]:
    return ("run", "geo", "--dataset-path", photos, "--output-dir", out, "--base-url", server.base_url)


def test_a_directory_that_another_machine_works_in_is_refused_until_its_lease_is_over(
    run: Run, photos: Path, tmp_path: Path
):
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        words = job(photos, out, server)
        assert run(*words, "--num-samples", 2).code == 0
        assert b'"released":true' in (out / "LOCK").read_bytes()
        leave_lock(out, age=12.5)
        before = files_of(out)
        refused = run(*words, "--num-samples", 4)
        assert files_of(out) == before
        set_age(out, 61.0)
        assert run(*words, "--num-samples", 4).code == 0
    assert refused.code == 2
    (complaint,) = refused.complaints
    assert (
        f"{out} is in use by pid 22 on there since 2025-06-15T15:06:40+00:00: asyncgen; last sign of life " in complaint
    )
    assert "if that process is gone, run again in " in complaint
    assert len(ids(out)) == 4


def test_a_run_whose_directory_is_taken_over_ends_resumable_and_leaves_it_to_the_other(
    run: Run, photos: Path, tmp_path: Path
):
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: hang()) as server:
        process = start(*job(photos, out, server), "--num-samples", -1)
        try:
            wait_until(lambda: (out / "LOCK").exists() and (out / "LOCK").read_bytes().endswith(b"\n"))
            leave_lock(out)
            outcome = ended(process)
        finally:
            process.kill()
    assert outcome.code == 75
    (complaint,) = outcome.complaints
    assert f"lost {out} to pid 22 on there since 2025-06-15T15:06:40+00:00: asyncgen: " in complaint
    assert "Traceback" not in outcome.err
    assert json.loads((out / "LOCK").read_bytes())["pid"] == 22
    assert not (out / "control.json").exists()
    with ThreadedServer(answering) as server:
        set_age(out, 61.0)
        assert run(*job(photos, out, server), "--num-samples", -1).code == 0
    assert ids(out) == wanted_ids("geo", range(8))
