"""Several runs at a time: counted together, and networks in one process that do not disturb each other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from study.bench.arms import Contender
from study.bench.jobs import _count
from study.bench.together import Network, networks, step_in_turn
from study.data.digits import load_digits
from study.data.images import Images
from study.machine.options import MachineOptions, Precision
from study.recording.bench_lines import read
from study.spec import InputError
from study.training.step import EAGER_STEPS, STEPS_PER_CALL
from study.weights.digest import weights_sha256
from tests.support import SPEC, run
from tests.training import standin


def test_a_run_that_fails_ends_the_others(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", "raise SystemExit(1)"], [sys.executable, "-c", "import time; time.sleep(600)"]]
    with pytest.raises(InputError, match="1 of 2 runs at the same time failed"):
        _count(commands, {}, tmp_path, 1.0)


@pytest.mark.slow
@pytest.mark.process
def test_runs_at_the_same_time_are_counted_in_one_window() -> None:
    done = run(
        "study", "bench", "--dataset=digits", "--depth=8", "--jobs=2", "--ways=processes,one-process", "--seconds=0.5"
    )
    assert done.returncode == 0, done.stderr
    separate, together = (row for row in read(done.stdout) if row["what"] == "jobs")
    assert (separate["way"], len(separate["worked"])) == ("processes", 2)
    assert (together["way"], len(together["worked"])) == ("one-process", 1)
    for row in (separate, together):
        assert row["jobs"] == len(row["of_each"]) == 2 and row["seconds"] == 0.5
        assert row["images_per_second"] == pytest.approx(sum(row["of_each"]), rel=1e-2)
        assert all(first <= 0 and last >= 0.5 for first, last in row["worked"]), "all of them, all the time"
        assert row["peak_mb"] > 0 and row["free_mb"] > 0


def contender(precision: Precision = "32") -> Contender:
    return Contender(SPEC, load_digits(), MachineOptions(precision=precision))


def alone(of: Contender, seed: int, step_mode: str, steps: int, first: int) -> str:
    network = Network(of, Images(of.arrays, of.recipe, of.device), seed, step_mode, first)  # type: ignore[arg-type]
    step_in_turn([network], steps)
    return weights_sha256(network.net)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_networks_in_one_process_end_with_the_weights_of_networks_alone(precision: Precision) -> None:
    of, steps = contender(precision), 30
    both = networks(of, 2, "plain")
    step_in_turn(both, steps)
    assert [network.step for network in both] == [steps, STEPS_PER_CALL // 2 + steps], "tables are made in turn"
    first, second = (weights_sha256(network.net) for network in both)
    assert first == alone(of, 0, "plain", steps, 0) and second == alone(of, 1, "plain", steps, STEPS_PER_CALL // 2)
    assert first != second


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has real graphs")
def test_each_network_of_a_process_has_a_graph_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the stand-in for CUDA's graphs, which says nothing of what two streams do at the same time."""
    log, of, steps = standin.install(monkeypatch), contender(), STEPS_PER_CALL + 10
    both = networks(of, 2, "graph")
    step_in_turn(both, steps)
    assert (log.captures, log.replays) == (2, 2 * (steps - EAGER_STEPS))
    first, second = (weights_sha256(network.net) for network in both)
    assert first == alone(of, 0, "graph", steps, 0) and second == alone(of, 1, "graph", steps, STEPS_PER_CALL // 2)
    assert first != second
