"""Gathering from W&B: the same frames as from disk, whole, cached, and nothing dropped."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

from reports.gathering import snapshot
from study.recording.record import Record
from study.spec import Spec
from tests.records import digest, write_run
from tests.support import run
from tests.wandb_server import ENTITY, Faults, Run, Server

PROJECT = "resnet-study"
CLIENT = {"WANDB_MODE": "online", "NETRC": "/nowhere"}


def gather(server: Server, out: Path, *more: str) -> snapshot.Snapshot:
    """What the command gathers."""
    own = {"WANDB_CONFIG_DIR": str(out / "config"), "XDG_CACHE_HOME": str(out.parent / "cache")}
    arguments = ("reports", "gather", f"--wandb={ENTITY}/{PROJECT}", f"--out={out}", *more)
    done = run(*arguments, **server.environment | CLIENT | own)
    assert done.returncode == 0, done.stderr
    return snapshot.read(out)


def mirrored(record: Record, run_id: str, **config: object) -> Run:
    """A record as the server holds it once it was logged."""
    factors = record.spec.factors | {"started": "2026-01-01", "argv": ["train"], "torch": "2.11.0"} | config
    run = Run(run_id, PROJECT, {"config": json.dumps({key: {"value": value} for key, value in factors.items()})})
    strict = [{k: "NaN" if v != v else v for k, v in row.items()} for row in record.history()]
    run.history = [json.dumps({"_step": i, **row}) for i, row in enumerate(strict)]
    run.summary = json.dumps(record.summary() or {})
    run.started, run.exit_code = True, 0 if record.summary() else 1
    return run


def test_what_does_not_count_says_why_and_is_kept(server: Server, tmp_path: Path) -> None:
    """Crashed, diverged, doubled, handed out and not started, not ours: each has a row and a reason."""
    specs = [Spec("digits", 20, "A", "mini", seed) for seed in range(4)]
    whole, crashed = write_run(tmp_path, specs[0]), write_run(tmp_path, specs[1], points=10)
    diverged = write_run(tmp_path, specs[2])
    path = diverged.folder / "metrics.jsonl"
    path.write_text(re.sub('"train/loss": [^,]*', '"train/loss": null', path.read_text()))
    missing_rows = mirrored(write_run(tmp_path, specs[3]), "short")
    stub = Run("stub", PROJECT, {"config": json.dumps({k: {"value": v} for k, v in specs[0].factors.items()})})
    skipped = mirrored(crashed, "skipped")
    skipped.fields["jobType"] = "skipped"
    runs = [mirrored(whole, "second", started="2026-01-05"), mirrored(whole, "first"), mirrored(crashed, "crashed"),
            mirrored(diverged, "diverged"), missing_rows, stub, skipped, Run("alien", PROJECT)]  # fmt: skip
    for each in runs:
        server.cloud.runs[each.id] = each
    server.cloud.truncated.add("short")
    found = gather(server, tmp_path / "out")
    reasons = dict(zip(found.excluded["run"], found.excluded["reason"], strict=True))
    assert list(found.counting["run"]) == [specs[0].name]
    assert reasons == {
        f"{specs[0].name}@second": "a duplicate: the cell was trained before, as run first",
        f"{specs[0].name}@stub": "handed out by W&B but never started: another run has trained the cell",
        specs[1].name: "interrupted at step 52 of 336",
        specs[2].name: "diverged: its loss is not a number at step 5",
        "skipped": "skipped: an agent was given the cell, which another run has trained",
        "short": "W&B returned 63 of 64 rows; gather again",
        "alien": "not created by this project: its configuration has no dataset, depth, shortcut",
    }
    assert set(found.history["run"]) == set(found.runs["run"]) - {"short", "skipped", "alien", f"{specs[0].name}@stub"}


def test_a_run_here_and_there_is_one_run(server: Server, tmp_path: Path) -> None:
    """Known by its id; the fuller copy is taken."""
    runs, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    done, stopped = Spec("digits", 20, "A"), Spec("digits", 32, "A")
    both = [write_run(runs, done), write_run(runs, stopped, points=10)]
    for record, run_id in zip(both, ("one", "two"), strict=True):
        record.note(wandb_id=run_id, started="2026-01-01", argv=["train"], versions={"torch": "2.11.0"})
    server.cloud.runs = {"one": mirrored(both[0], "one"), "two": mirrored(write_run(elsewhere, stopped), "two")}
    found = gather(server, tmp_path / "out", f"--runs={runs}").runs.set_index("run")
    assert list(found.index) == [done.name, stopped.name] and found["counts"].all()
    assert list(found["url"]) == [f"{server.cloud.address}/{ENTITY}/{PROJECT}/runs/{name}" for name in ("one", "two")]


def test_requests_that_fail_are_tried_again(server: Server, tmp_path: Path) -> None:
    record = write_run(tmp_path, Spec("digits", 20, "A"))
    server.cloud.runs["one"] = mirrored(record, "one")
    server.faults = Faults((429, 503), every=3)
    found = gather(server, tmp_path / "out")
    assert list(found.history["test/loss"]) == [row["test/loss"] for row in record.history()]


def test_what_is_on_disk_already_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    """A run that has moved is."""
    record = write_run(tmp_path, Spec("digits", 20, "A"), points=10)
    server.cloud.runs["one"] = mirrored(record, "one")
    gather(server, tmp_path / "out")
    before = server.requests
    assert len(gather(server, tmp_path / "out").history) == 10
    listing = server.requests - before
    server.cloud.runs["one"] = mirrored(write_run(tmp_path / "later", record.spec, points=11), "one")
    before = server.requests
    assert len(gather(server, tmp_path / "out").history) == 11
    assert server.requests - before > listing


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--wandb=somewhere",), "--wandb=somewhere is not ENTITY/PROJECT"),
        ((f"--wandb={ENTITY}/nothing",), f"{ENTITY}/nothing cannot be read from W&B"),
    ],
)
def test_a_project_that_cannot_be_read_is_one_line(
    server: Server, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    own = {"WANDB_CONFIG_DIR": str(tmp_path / "config")}
    done = run("reports", "gather", *arguments, f"--out={tmp_path / 'out'}", **server.environment | CLIENT | own)
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.process
def test_a_run_that_may_not_be_read_is_one_line(server: Server, tmp_path: Path) -> None:
    server.cloud.runs["one"] = mirrored(write_run(tmp_path, Spec("digits", 20, "A")), "one")
    server.cloud.forbidden.add("one")
    own = {"WANDB_CONFIG_DIR": str(tmp_path / "config"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    arguments = ("reports", "gather", f"--wandb={ENTITY}/{PROJECT}", f"--out={tmp_path / 'out'}")
    done = run(*arguments, **server.environment | CLIENT | own)
    assert done.returncode == 2 and "permission denied" in done.stderr and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.process
def test_without_an_account_nothing_is_asked(tmp_path: Path) -> None:
    own = {"WANDB_API_KEY": "", "WANDB_CONFIG_DIR": str(tmp_path)}
    done = run("reports", "gather", "--wandb=a/b", f"--out={tmp_path / 'out'}", **CLIENT | own)
    assert done.returncode == 2 and "wandb login" in done.stderr


@pytest.mark.slow
def test_a_thousand_runs_are_gathered_whole(server: Server, tmp_path: Path) -> None:
    """64 points each; how long it takes is printed and not judged (see docs/performance.md)."""
    record = write_run(tmp_path, Spec("digits", 20, "A"))
    for seed in range(1000):
        run = mirrored(record, f"run{seed}", seed=seed)
        first = json.loads(run.history[0]) | {"train/loss": 0.5 + seed / 1000}  # no two runs have the same curve
        run.history[0] = json.dumps(first)
        run.summary = json.dumps({**record.summary(), "weights_sha256": digest(str(seed))})  # type: ignore[dict-item]
        run.files = {"responses.json": b'{"layers": ["stem"], "std": [1.0]}'}
        server.cloud.runs[run.id] = run
    took = []
    for _ in range(2):
        since = time.perf_counter()
        found = gather(server, tmp_path / "out")
        took.append(time.perf_counter() - since)
        assert len(found.counting) == 1000 and len(found.history) == 64_000 and len(found.responses) == 1000
    print(f"1,000 runs: cold {took[0]:.1f} s, from the cache {took[1]:.1f} s on {os.cpu_count()} cores")
