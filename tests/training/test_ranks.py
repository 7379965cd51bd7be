"""Several ranks talk seldom, stop together, and end a resumed run as one left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from study.recording.record import Record
from study.training.ranks import AGREE_SECONDS, Agreement, steps_between
from study.training.step import STEPS_PER_CALL
from tests.support import CELL, SPEC, run, train


def test_questions_whether_to_stop_are_seconds_apart_and_at_most_a_pass_of_steps() -> None:
    for seconds in (1e-4, 0.01, 0.07, 0.3, 3.9):
        steps = steps_between(seconds)
        assert 1 <= steps <= STEPS_PER_CALL and steps * seconds <= AGREE_SECONDS
        assert steps == STEPS_PER_CALL or (steps + 1) * seconds > AGREE_SECONDS
    assert steps_between(12.0) == 1, "1202 layers on a CPU stop after the current step"


@pytest.fixture
def group(tmp_path: Path) -> Iterator[torch.distributed.ProcessGroup | None]:
    """A process group of one rank, whose messages torch counts."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield torch.distributed.group.WORLD
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    ("seconds", "asked_after"), [(0.125, [1, 33, 65, 97]), (2**-10, [1, 51]), (5.0, [*range(1, 101)])]
)
def test_ranks_ask_at_steps_that_follow_from_the_time_of_a_step(
    group: torch.distributed.ProcessGroup, seconds: float, asked_after: list[int]
) -> None:
    time = 0.0
    agreement = Agreement(2, torch.device("cpu"), lambda: time)
    agreement.begin(0)
    asked = []
    for step in range(1, 101):
        time += seconds
        before = group._get_sequence_number_for_group()
        assert not agreement.after(step, requested=False)
        if group._get_sequence_number_for_group() > before:
            asked.append(step)
    assert asked == asked_after


def test_one_rank_decides_after_each_step_and_sends_nothing() -> None:
    agreement = Agreement(1, torch.device("cpu"))
    agreement.begin(0)
    assert not agreement.after(1, requested=False) and agreement.after(2, requested=True) and agreement.stop
    assert agreement.at_once(requested=True)


@pytest.mark.process
def test_ranks_send_less_than_one_message_in_ten_steps_besides_the_gradients(tmp_path: Path) -> None:
    done = run("torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "tests.collectives", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "broadcast_buffers" not in done.stderr
    counted = json.loads(done.stdout.splitlines()[-1])
    assert counted["messages"] - counted["steps"] < 0.1 * counted["steps"], counted


@pytest.mark.slow
@pytest.mark.process
def test_four_ranks_resume_exactly(tmp_path: Path) -> None:
    """From three ranks on, the order of sums in a gradient shows in its last bits."""
    records = [Record(tmp_path / name, SPEC) for name in ("alone", "stopped")]
    options = ("--devices=4", f"--runs={tmp_path / 'stopped'}")
    stopped = run("tests.signalled", "SIGTERM", "call:batch:8", "study", "train", *CELL, *options)
    assert stopped.returncode == 143, stopped.stderr
    for record in records:
        assert train(record.folder.parent, "--devices=4").returncode == 0
    digests = [(record.summary() or {})["weights_sha256"] for record in records]
    assert digests[0] == digests[1]
