"""The bench and the estimate by their real commands, on nets small enough to run here; no test looks at a time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from study.bench.run import compare
from study.commands import cli as study
from study.recording.bench_lines import read
from study.spec import InputError
from tests.support import run

TWO = """
method: grid
parameters:
  dataset: {value: digits}
  depth: {value: 8}
  shortcut: {value: A}
  seed: {values: [0, 1]}
"""


@pytest.mark.slow
@pytest.mark.process
def test_arms_take_turns_and_every_line_says_what_it_is(tmp_path: Path) -> None:
    done = run(
        *("study", "bench", "--dataset=digits", "--depth=8", "--arms=ours,plain,bare"),
        *("--rounds=6", "--steps=3", "--precision=bf16", "--checkpoint-every=2"),
    )
    assert done.returncode == 0, done.stderr
    rows = list(read(done.stdout))
    machine, steps = rows[0], {row["arm"]: row for row in rows if row["what"] == "step"}
    assert (machine["what"], machine["precision"], machine["checkpoint_every"]) == ("machine", "bf16", 2)
    assert list(steps) == ["ours", "plain", "bare"]
    for row in steps.values():
        assert row["cell"] == "digits-8-A-mini-s0" and row["rounds"] == 6
        assert row["images_per_second"] == pytest.approx(64 * 1e3 / row["ms_per_step"], rel=1e-3)
    ratios = {row["ours_to"]: row for row in rows if row["what"] == "ratio"}
    assert set(ratios) == {"plain", "bare"}
    assert all(row["interval"][0] <= row["times_as_fast"] <= row["interval"][1] for row in ratios.values())
    assert {row["what"] for row in rows} >= {"floor", "evaluation", "memory", "overhead", "start_up"}
    peaks = {row["arm"]: row["peak_mb"] for row in rows if row["what"] == "memory"}
    assert list(peaks) == ["ours", "plain", "bare"] and max(peaks.values()) < 1.5 * min(peaks.values()), "one net each"


@pytest.mark.process
def test_the_memory_of_training_is_not_that_of_the_floors_matrices() -> None:
    """The floor copies 256 MiB and multiplies matrices; the kernel's count of the whole process has both."""
    cell = ("study", "bench", "--dataset=digits", "--depth=8", "--arms=ours", "--rounds=1", "--steps=1")
    done = run("tests.peak_memory", *cell)
    assert done.returncode == 0, done.stderr
    *lines, kilobytes = done.stdout.splitlines()
    (row,) = (row for row in read("\n".join(lines)) if row["what"] == "memory")
    assert row["arm"] == "ours" and row["peak_mb"] + 400 < int(kilobytes) / 2**10


@pytest.mark.process
def test_memory_is_shown_with_and_without_segments() -> None:
    done = run("study", "bench", "--dataset=digits", "--depth=56", "--memory", "--checkpoint-every=3")
    assert done.returncode == 0, done.stderr
    less, more = (row for row in read(done.stdout) if row["what"] == "memory")
    assert (less["checkpoint_every"], more["checkpoint_every"]) == (3, 0)
    assert less["gradients_sha256"] == more["gradients_sha256"]
    assert less["kept_for_backward_mb"] < more["kept_for_backward_mb"] / 5 and less["peak_mb"] < more["peak_mb"] / 2


@pytest.mark.slow
@pytest.mark.process
def test_an_estimate_is_made_once_for_each_network_and_leaves_no_record(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(TWO)
    runs = tmp_path / "runs"
    done = run("study", "sweep", str(tmp_path / "two.yaml"), "--estimate", f"--runs={runs}")
    assert done.returncode == 0, done.stderr
    lines = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.startswith("│")]
    cells = {line[0].strip(): [part.strip() for part in line[1:]] for line in lines}
    names = ["digits-8-A-mini-s0", "digits-8-A-mini-s1"]
    assert set(cells) == {*names, "all"} and not runs.exists()
    assert cells[names[0]] == cells[names[1]], "seeds are not measured twice"
    hours = [float(cells[name][1]) for name in names]
    assert all(hours) and float(cells["all"][1]) == pytest.approx(sum(hours), rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--dataset=digits", "--depth=8"],
            "the arm loader needs PIL images, and digits has none; give --arms=ours,plain,bare",
        ),
        (["--rounds=0"], "--rounds and --steps must be at least 1"),
        (["--pipeline"], "--pipeline reads images from disk, and cifar10 is in memory; give --dataset=imagenet"),
        (["--dataset=imagenet"], "of imagenet only the reading of images is measured; add --pipeline"),
        (["--jobs=two"], "--jobs='two' is not a list of numbers; write it as in --jobs=1,2,4"),
    ],
)
def test_a_bench_that_cannot_be(arguments: list[str], says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        study.run(["bench", *arguments])


def test_a_median_lies_in_its_interval() -> None:
    """Of nine ratios the second and the eighth bound the median with 96 %, by the binomial."""
    ours, other = [1.0] * 9, [1.9, 1.1, 1.5, 1.2, 1.8, 1.3, 1.7, 1.4, 1.6]
    assert compare(ours, other) == {"times_as_fast": 1.5, "interval": [1.2, 1.8], "rounds": 9}
    assert compare(ours[:5], other[:5])["interval"] is None, "five are too few"
