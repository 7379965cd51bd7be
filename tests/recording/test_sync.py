"""Whatever is on record reaches W&B, once, and W&B gives back what is on the disk."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest

from reports.gathering import snapshot
from study.recording.record import PROBES, Record
from study.recording.wandb.sending import DIGEST
from tests.faults.pausing import one_line
from tests.support import CELL, ROOT, SPEC, command, run
from tests.wandb_server import ENTITY, Run, Server

pytestmark = pytest.mark.process

PROJECT = "resnet-study"


def own(server: Server, folder: Path) -> dict[str, str]:
    """The client's variables; nothing of this user's is read or written."""
    here = {"WANDB_CONFIG_DIR": str(folder / "config"), "XDG_CACHE_HOME": str(folder / "cache"), "NETRC": "/nowhere"}
    return server.environment | here | {"WANDB_INIT_TIMEOUT": "5"}


def train(runs: Path, *more: str, program: str = "study", **environment: str) -> subprocess.CompletedProcess[str]:
    words = ["train", *CELL, f"--runs={runs}", *more]
    return run(*([program] if program == "study" else [program, "study"]), *words, **environment)


def assert_gathers_alike(runs: Path, environment: dict[str, str]) -> snapshot.Snapshot:
    """From W&B and from disk: every table, value for value."""
    found = []
    for source in (f"--wandb={ENTITY}/{PROJECT}", f"--runs={runs}"):
        out = runs.parent / f"out{len(found)}"
        done = run("reports", "gather", source, f"--out={out}", **environment)
        assert done.returncode == 0, done.stderr
        found.append(snapshot.read(out))
    for name in (field.name for field in fields(snapshot.Snapshot) if field.name != "public"):
        pd.testing.assert_frame_equal(getattr(found[0], name), getattr(found[1], name), check_exact=True)
    return found[0]


def assert_shows(run: Run, record: Record, *pictures: str) -> None:
    """The run has all of the record's files, in pictures too, and says that it has them."""
    names = {path.name for path in record.folder.glob("*.json*")} - {"spec.json", "summary.json", "metrics.jsonl"}
    assert {name: run.files[name] for name in names} == {name: (record.folder / name).read_bytes() for name in names}
    drawn = {name.removeprefix("media/images/").rsplit("_", 2)[0] for name in run.files if name.endswith(".png")}
    assert drawn == {"responses", "confusion", *pictures}
    assert DIGEST in json.loads(run.summary)


def test_a_run_trained_without_wandb_is_sent_once(server: Server, tmp_path: Path) -> None:
    runs, environment = tmp_path / "runs", own(server, tmp_path)
    assert train(runs, "--wandb=disabled").returncode == 0
    record = Record(runs, SPEC)
    one_line(run("study", "sync", str(runs), **environment | {"WANDB_API_KEY": ""}), 2, "wandb login")
    sent = run("study", "sync", str(runs), **environment)
    assert (sent.returncode, sent.stderr) == (0, ""), sent.stderr
    (only,) = server.cloud.runs.values()
    assert sent.stdout.splitlines() == [f"{SPEC.name}: sent, {record.provenance()['url']}", "1 runs: 1 sent"]
    assert only.state == "finished" and only.fields["displayName"] == SPEC.name and only.id in only.fields["name"]
    assert [row["step"] for row in only.rows if "test/wrong" in row] == [row["step"] for row in record.history()]
    assert "output.log" not in only.files, "what sync prints is no output of the run"
    assert_shows(only, record)
    lines = len(only.history)
    again = run("study", "sync", str(record.folder), **environment)
    assert again.stdout.splitlines()[-1] == "1 runs: 1 already there" and len(only.history) == lines
    assert_gathers_alike(runs, environment)


@pytest.mark.slow
def test_what_is_measured_later_reaches_wandb_and_comes_back(server: Server, tmp_path: Path) -> None:
    """Trained online, diverged, tested, probed, and probed once more while W&B is down."""
    runs, environment = tmp_path / "runs", own(server, tmp_path)
    record = Record(runs, SPEC)
    assert train(runs, "--wandb=online", "--signals", **environment).returncode == 0
    diverged = train(runs, "--wandb=online", "--seed=4", program="tests.faults.steep", **environment)
    assert diverged.returncode == 3, diverged.stderr
    run_id = record.provenance()["wandb_id"]
    assert_shows(server.cloud.runs[run_id], record, "signals")
    for words in (("test", "--protocol=single"), ("probe", "--only=signals,blocks,lesions,mistakes,copy")):
        done = run("study", *words, str(record.folder), **environment)
        assert done.returncode == 0 and "study:" not in done.stderr, done.stderr
    there = server.cloud.runs[run_id]
    summary = json.loads(there.summary)
    assert summary["single/top1_error"] == (record.summary() or {})["single/top1_error"] and there.state == "finished"
    assert_shows(there, record, "signals", "probes/signals", "probes/blocks")
    found = assert_gathers_alike(runs, environment)
    assert list(found.runs["state"]) == ["finished", "diverged"]
    server.close()
    late = run("study", "probe", "--only=landscape,filters,embeddings,similarity", str(record.folder), **environment)
    assert late.returncode == 0 and PROBES in {path.stem for path in record.folder.iterdir()}
    assert late.stderr.count("\n") == 1 and f"python -m study sync {record.folder}" in late.stderr
    back = server.back()
    sent = run("study", "sync", str(runs), **environment)
    assert sent.stdout.splitlines()[-1] == "2 runs: 1 sent, 1 already there", sent.stdout + sent.stderr
    assert_shows(there, record, "signals", "probes/signals", "probes/blocks", "probes/landscape")
    assert_gathers_alike(runs, environment)
    back.close()


@pytest.mark.slow
def test_a_run_in_progress_is_left_to_its_process_and_a_stopped_one_is_sent(server: Server, tmp_path: Path) -> None:
    runs, environment = tmp_path / "runs", own(server, tmp_path)
    done = run(
        "tests.signalled", "SIGTERM", "call:batch:13", "study", "train", *CELL, f"--runs={runs}", "--wandb=disabled"
    )
    assert done.returncode == 143, done.stderr
    record = Record(runs, SPEC)
    record.reserve()
    left = run("study", "sync", str(runs), **environment)
    assert (
        left.returncode == 0 and f"left to their process, it is being trained by process {os.getpid()}" in left.stdout
    )
    assert not server.cloud.runs
    record.close()
    assert run("study", "sync", str(runs), **environment).returncode == 0
    (only,) = server.cloud.runs.values()
    assert (
        only.state == "failed" and len([row for row in only.rows if "test/wrong" in row]) == len(record.history()) > 0
    )
    found = assert_gathers_alike(runs, environment)
    assert found.runs["state"].tolist() == ["interrupted"]
    assert train(runs, "--wandb=online", **environment).returncode == 0 and only.state == "finished"
    assert_gathers_alike(runs, environment)


def test_self_hosted_wandb_is_recognised_as_wandb_does(server: Server, tmp_path: Path) -> None:
    """`wandb login --host` is all that it takes."""
    home = {"HOME": str(tmp_path), "NETRC": str(tmp_path / "netrc"), "WANDB_CONFIG_DIR": str(tmp_path / "config")}
    kept = {name: value for name, value in server.environment.items() if name.startswith(("WANDB__", "WANDB_ERROR"))}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")} | home | kept

    def python(*words: str) -> str:
        done = subprocess.run(command(*words), env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    python("wandb", "login", f"--host={server.cloud.address}", "a" * 40)
    assert f"machine {server.cloud.address.removeprefix('http://')}" in (tmp_path / "netrc").read_text()
    assert f"online at {server.cloud.address}, with the API key" in python("study", "doctor", f"--data={tmp_path}")
    python("study", "train", *CELL, f"--runs={tmp_path / 'runs'}")
    (only,) = server.cloud.runs.values()
    assert only.state == "finished"
