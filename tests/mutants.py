"""Break the product, one line at a time, and see that a test notices: what a suite is worth.

    python -m tests.mutants             all of them, two at a time; exit status 1 where one survives
    python -m tests.mutants philox      those whose name contains the word
    python -m tests.mutants --control   the same tests on an unchanged copy, where all must pass

Each mutant is a copy of the tree with one line changed, on which the tests that should notice are run. A line that is
not found, or found twice, is an error. The processes that run the tests are forked from one that has imported what is
heavy, so that a mutant takes a few seconds.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parent.parent


class Mutant(NamedTuple):
    """One change, and the tests of which at least one must fail."""

    name: str
    file: str
    before: str
    after: str
    tests: str


MUTANTS = (
    Mutant(
        "the first rank is killed before it says why",
        "study/training/ranks.py",
        "GRACE = 30.0",
        "GRACE = 0.0",
        "faults/test_lost_ranks.py",
    ),
    Mutant(
        "half a library stays",
        "study/machine/compiler.py",
        "library.unlink(missing_ok=True)",
        "library.exists()",
        "faults/test_compiling.py",
    ),
    Mutant(
        "launch goes on with a cancelled sweep",
        "study/sweeps/agents.py",
        '{CANCELLED: "was cancelled", "PAUSED": "is paused"}',
        '{"PAUSED": "is paused"}',
        "sweeps/test_stopped.py",
    ),
    Mutant(
        "launch goes on with a sweep that was stopped",
        "study/sweeps/agents.py",
        "any(record.spec not in found.cells",
        "any(record.spec in found.cells",
        "sweeps/test_stopped.py",
    ),
    Mutant(
        "a stopped run resumes by itself",
        "study/commands/train.py",
        'record.state() == "stopped" and not machine.again',
        'record.state() == "stopped" and machine.again',
        "sweeps/test_stopped.py",
    ),
    Mutant(
        "a stop is forgotten",
        "study/recording/record.py",
        'return "stopped" if self._is_stopped() else "interrupted"',
        'return "interrupted"',
        "recording/test_record.py",
    ),
    Mutant(
        "alignment is biased",
        "study/probes/similarity.py",
        "2 / (n - 2)",
        "2 / n",
        "probes/test_measures.py",
    ),
    Mutant(
        "first blocks are exchanged",
        "study/probes/lesions.py",
        "names[1:]",
        "names",
        "probes/test_measures.py",
    ),
    Mutant(
        "a slice goes along one direction",
        "study/probes/landscape.py",
        "b * second",
        "b * first",
        "probes/test_measures.py",
    ),
    Mutant(
        "a ReLU that passes zero is on",
        "study/probes/layers.py",
        "(response.detach() <= 0)",
        "(response.detach() < 0)",
        "probes/test_measures.py",
    ),
    Mutant(
        "a resumed run repeats lines of signals",
        "study/recording/along.py",
        'row["step"] <= self._last',
        'row["step"] < self._last',
        "training/test_along.py",
    ),
    Mutant(
        "a deeper network starts from initial weights",
        "study/training/train.py",
        "module.net.load_state_dict(copied.net.state_dict())",
        "module.net.state_dict()",
        "training/test_deepen.py",
    ),
    Mutant(
        "another parent may go on",
        "study/recording/record.py",
        '("recipe", "data_fingerprint", "parent")',
        '("recipe", "data_fingerprint")',
        "training/test_deepen.py",
    ),
    Mutant(
        "copies that were trained on judge claims",
        "reports/page/sections.py",
        "if not each.is_from_copy",
        "if each",
        "reports/test_learned.py",
    ),
    Mutant(
        "scales decay under nodecaybn",
        "study/training/optimizer.py",
        '"weight_decay": 0.0',
        '"weight_decay": 1e-4',
        "training/test_optimizer.py",
    ),
    Mutant(
        "digits are split otherwise",
        "study/data/digits.py",
        "random_state=0",
        "random_state=1",
        "test_golden.py",
    ),
    Mutant(
        "public networks of two repositories are compared",
        "reports/judging/public.py",
        "set.intersection(*having)",
        "set.union(*having)",
        "reports/test_public.py",
    ),
    Mutant(
        "crops of public networks have another border",
        "study/data/images.py",
        'if border == "black"',
        'if border == "reflect"',
        "weights/test_foreign.py",
    ),
    Mutant(
        "the philox key",
        "study/data/sampling.py",
        "(seed << 64) + step)",
        "(seed << 64) + step + 1)",
        "test_golden.py",
    ),
    Mutant(
        "epochs are visited in another order",
        "study/data/sampling.py",
        "([seed, epoch])",
        "([seed, epoch, 1])",
        "test_golden.py",
    ),
    Mutant(
        "the classifier starts as a convolution does",
        "study/network.py",
        'nonlinearity="linear"',
        'nonlinearity="relu"',
        "test_golden.py",
    ),
    Mutant(
        "He's normal by fan-in",
        "study/network.py",
        'mode="fan_out"',
        'mode="fan_in"',
        "test_golden.py",
    ),
    Mutant(
        "the rate drops a step late",
        "study/training/schedule.py",
        "sum(step >= drop",
        "sum(step > drop",
        "training/test_schedule.py",
    ),
    Mutant(
        "the warm-up looks at every step",
        "study/training/schedule.py",
        "step % WARMUP_WINDOW == 0",
        "step >= 0",
        "training/test_schedule.py",
    ),
    Mutant(
        "a resumed plateau forgets its errors",
        "study/training/schedule.py",
        'list(state["plateau"]["errors"])',
        "[]",
        "training/test_schedule.py",
    ),
    Mutant(
        "speed counts the evaluation",
        "study/training/callbacks.py",
        'self._switch(module, "evaluation")',
        'self._switch(module, "train")',
        "training/test_callbacks.py",
    ),
    Mutant(
        "the confusion matrix is turned over",
        "study/training/errors.py",
        "labels * len(self.counts) + logits.argmax(1)",
        "logits.argmax(1) * len(self.counts) + labels",
        "training/test_errors.py",
    ),
    Mutant(
        "a checkpoint in mid-interval loses its seconds",
        "study/training/callbacks.py",
        "seconds + running.get(name, 0.0)",
        "seconds",
        "training/test_callbacks.py",
    ),
    Mutant(
        "a captured step takes the same batch again and again",
        "study/training/step.py",
        "self.at.add_(1)",
        "self.at.add_(0)",
        "training/test_captured_step.py",
    ),
    Mutant(
        "a captured step keeps its first learning rate",
        "study/training/step.py",
        "self.rate.copy_(self.rates.index_select(0, self.at)[0])",
        "self.rate.copy_(torch.full_like(self.rate, float(self.rates[int(self.at)])))",
        "training/test_captured_step.py",
    ),
    Mutant(
        "the capture stands for a step",
        "study/training/step.py",
        "            self.graph.replay()",
        "            _ = self.taken == EAGER_STEPS or self.graph.replay()",
        "training/test_captured_step.py",
    ),
    Mutant(
        "the first steps run beside those before them",
        "study/training/step.py",
        "        self.side.wait_stream(main)",
        "        pass",
        "training/test_captured_step.py",
    ),
    Mutant(
        "the fused kernels' running variance is the biased one",
        "study/training/fused/kernels.py",
        "square / (rows - 1)",
        "square / rows",
        "training/fused/test_norm.py",
    ),
    Mutant(
        "the fused kernels add one gradient of two",
        "study/training/fused/kernels.py",
        "    if HAS_SECOND:",
        "    if HAS_SECOND and not RECTIFIES:",
        "training/fused/test_norm.py",
    ),
    Mutant(
        "running averages count a batch twice",
        "study/training/step.py",
        "norm.momentum = 0.0",
        "norm.momentum = 0.1",
        "training/test_step.py",
    ),
    Mutant(
        "a repeated step is recorded again",
        "study/recording/record.py",
        'row["step"] <= self._last',
        'row["step"] < self._last',
        "recording/test_record.py",
    ),
    Mutant(
        "panels of test error show the training error",
        "reports/figures/fig6.py",
        '{"test": "test error (%)", "train": "training error (%)"}',
        '{"train": "test error (%)", "test": "training error (%)"}',
        "reports/test_figures.py",
    ),
    Mutant(
        "every run is drawn with the last run's curve",
        "reports/figures/series.py",
        "places.get(run, [])",
        "[*places.values()][-1]",
        "reports/test_figures.py",
    ),
    Mutant(
        "the hero figure's training panel shows test errors",
        "reports/figures/depth.py",
        "ours = {net: [*e.net(net)[FINAL[split]].dropna()] for net in at}",
        'ours = {net: [*e.net(net)[FINAL["test"]].dropna()] for net in at}',
        "reports/test_figures.py",
    ),
    Mutant(
        "Fig. 1's panels are exchanged",
        "reports/figures/fig1.py",
        '{"training error (%)": "train", "test error (%)": "test"}',
        '{"training error (%)": "test", "test error (%)": "train"}',
        "reports/test_figures.py",
    ),
    Mutant(
        "a panel of blocks is labelled wrongly",
        "reports/figures/probes.py",
        '"without": "test error without the block (%)",',
        '"without": "error of a linear classifier (%)",',
        "reports/test_figures.py",
    ),
    Mutant(
        "a panel of gradients shows another moment",
        "reports/figures/probes.py",
        'signals[signals["moment"] == moment]',
        'signals[signals["moment"] != moment]',
        "reports/test_figures.py",
    ),
    Mutant(
        "device hours forget the devices",
        "reports/tables/cost.py",
        "return f\"{(runs['hours'] * runs['world_size']).sum():.2f}\"",
        "return f\"{runs['hours'].sum():.2f}\"",
        "reports/test_tables.py",
    ),
    Mutant(
        "the answer takes the last claim that decides",
        "reports/page/answer.py",
        'DECIDING = ("C01", "C06", "C05")',
        'DECIDING = ("C21", "C06", "C05")',
        "reports/test_reports.py",
    ),
    Mutant(
        "coverage takes a run of any seed for all",
        "reports/tables/coverage.py",
        '"all" if run >= planned else',
        '"all" if run else',
        "reports/test_page.py",
    ),
    Mutant(
        "of two runs of a cell the later is kept",
        "reports/gathering/add.py",
        "_rank(before, run) < _rank(given, run)",
        "_rank(before, run) > _rank(given, run)",
        "reports/test_add.py",
    ),
    Mutant(
        "CIFAR's claims are judged on ImageNet's networks",
        "reports/judging/claims.py",
        "evidence.comparison.family == claim.comparison.family",
        "bool(claim.comparison.family)",
        "reports/test_page.py",
    ),
    Mutant(
        "an adjusted chance is that of another claim",
        "reports/judging/claims.py",
        "zip(holm(p_for), ",
        "zip(holm(sorted(p_for)), ",
        "reports/test_judging.py",
    ),
    Mutant(
        "the training error is the last eleven parts' mean",
        "reports/gathering/snapshot.py",
        "PARTS, LAST_PARTS = 64, 10",
        "PARTS, LAST_PARTS = 64, 11",
        "reports/test_reports.py",
    ),
    Mutant(
        "the two tails of a trend are exchanged",
        "reports/judging/stats.py",
        "found.high, up, down, error",
        "found.high, down, up, error",
        "reports/test_judging.py",
    ),
    Mutant(
        "equal runs have no variance",
        "reports/judging/stats.py",
        "max(pooled, resolution**2), freedom",
        "pooled, freedom",
        "reports/test_judging_stats.py",
    ),
    Mutant(
        "networks of different precisions are compared without doubt",
        "reports/judging/mixing.py",
        "one.isdisjoint(other) for",
        "one.issuperset(other) and one.isdisjoint(other) for",
        "reports/test_mixing.py",
    ),
    Mutant(
        "a cap does not reach the verdict",
        "reports/judging/claims.py",
        'finding.cap == "inconclusive" or',
        "False or",
        "reports/test_mixing.py",
    ),
    Mutant(
        "an evaluation at a drop of the rate is counted with the stage after it",
        "reports/tables/curves.py",
        "(apart.index > start) & (apart.index <= end)",
        "(apart.index >= start) & (apart.index < end)",
        "reports/test_tables.py",
    ),
    Mutant(
        "a failed run is averaged",
        "reports/judging/evidence.py",
        'runs.sort_values("seed").loc[lambda row: ~row["run"].isin(failed_runs(e, net))]',
        'runs.sort_values("seed")',
        "reports/test_ours.py",
    ),
    Mutant(
        "the best ensemble decides, not the largest",
        "reports/judging/imagenet.py",
        "key=lambda one: (len(one.members), one.top5_error)",
        "key=lambda one: -one.top5_error",
        "reports/test_ours.py",
    ),
    Mutant(
        "an error replicates where its interval only touches the margin",
        "reports/judging/replication.py",
        "if -margin < low and high < margin:",
        "if -margin < high and low < margin:",
        "reports/test_replication.py",
    ),
    Mutant(
        "a network is tested with the statistics of its test batches",
        "study/protocols/in_memory.py",
        "    net.eval()",
        "    net.train()",
        "protocols/test_in_memory.py",
    ),
    Mutant(
        "a corrected chance decides",
        "reports/judging/claims.py",
        "finding.p_for < planned.alpha",
        "finding.p_for < planned.alpha / 100",
        "reports/test_judging.py",
    ),
    Mutant(
        "statements together are as certain as the most certain",
        "reports/judging/forms.py",
        "p_for=max((f.p_for for f in tested)",
        "p_for=min((f.p_for for f in tested)",
        "reports/test_properties.py",
    ),
    Mutant(
        "a rank's last evaluation share is lost",
        "study/data/sampling.py",
        "(rank + 1) * parts + 1)",
        "(rank + 1) * parts)",
        "data/test_sampling.py",
    ),
    Mutant(
        "a torn line is cut off too late",
        "study/recording/record.py",
        'rfind(b"\\n") + 1]',
        'rfind(b"\\n") + 2]',
        "recording/test_record.py",
    ),
    Mutant(
        "hours of an estimate from milliseconds taken for microseconds",
        "study/sweeps/estimate.py",
        "/ 1e3 +",
        "/ 1e6 +",
        "sweeps/test_estimate.py",
    ),
    Mutant(
        "a disk needs room for one checkpoint only",
        "study/machine/device.py",
        "needed = 3 * checkpoint",
        "needed = checkpoint",
        "machine/test_device.py",
    ),
    Mutant(
        "processes outlive their parent",
        "study/machine/parent.py",
        "prctl(PR_SET_PDEATHSIG, signum)",
        "prctl(PR_SET_PDEATHSIG, 0)",
        "machine/test_device.py",
    ),
    Mutant(
        "the GPU's service outlives its processes",
        "study/machine/mps.py",
        'words=b"quit\\n"',
        'words=b"\\n"',
        "machine/test_mps.py",
    ),
    Mutant(
        "cells at the same time share the first GPU",
        "study/sweeps/slices.py",
        "rounds = cycle(gpus)",
        "rounds = cycle(gpus[:1])",
        "sweeps/test_slices.py",
    ),
    Mutant(
        "a sweep does not come back to a cell that another process trains",
        "study/sweeps/local.py",
        "self._leave(record)",
        "self._display.drop(record)",
        "faults/test_two_at_once.py",
    ),
    Mutant(
        "the GPU's service can hold who reads our output",
        "study/machine/mps.py",
        "stdout=subprocess.DEVNULL",
        "stdout=subprocess.PIPE",
        "machine/test_mps.py",
    ),
    Mutant(
        "a run stops while others are still counted",
        "study/bench/window.py",
        "len(counts(self.folder)) == self._members",
        "len(counts(self.folder)) > 0",
        "bench/test_window.py",
    ),
    Mutant(
        "code without a checkout claims to be unmodified",
        "study/recording/version.py",
        "if _checkout(file) else None",
        "if _checkout(file) else False",
        "recording/test_version.py",
    ),
    Mutant(
        "the floor forgets the backward pass",
        "study/bench/floor.py",
        "3 * 2 * _multiply_adds",
        "2 * _multiply_adds",
        "bench/test_floor.py",
    ),
    Mutant(
        "a surrounding repository's commit is taken for ours",
        "study/recording/version.py",
        'if _project(top).get("name") == PACKAGE else None',
        "if top else None",
        "recording/test_version.py",
    ),
    Mutant(
        "agents are told the W&B mode of the launch",
        "study/machine/options.py",
        'Option("W&B mode", "run", choices',
        'Option("W&B mode", "run", "STUDY_WANDB", choices',
        "machine/test_options.py sweeps/test_agents.py",
    ),
    Mutant(
        "the clock forgets the intervals before",
        "study/training/callbacks.py",
        "self.seconds[self._activity] += elapsed",
        "self.seconds[self._activity] = elapsed",
        "training/test_callbacks.py",
    ),
    Mutant(
        "a modified checkout is called clean",
        "study/recording/version.py",
        'bool(_git(file, "status", "--porcelain", "--untracked-files=no"))',
        "False",
        "recording/test_version.py",
    ),
    Mutant(
        "a scaled-down run is tagged as the paper's",
        "study/recipes.py",
        'if recipe_for(spec).scale == "toy":',
        'if recipe_for(spec).scale == "":',
        "test_recipes.py",
    ),
    Mutant(
        "the paper's run is scaled down",
        "study/recipes.py",
        '_CIFAR10 = Recipe(scale="full")',
        "_CIFAR10 = Recipe()",
        "test_recipes.py",
    ),
    Mutant(
        "a loss that is no number is right",
        "study/bench/gpu_check/rules.py",
        "if not difference <= margin(step):",
        "if difference > margin(step):",
        "bench/test_gpu_check.py",
    ),
    Mutant(
        "a compiled step need not be clearly faster",
        "study/bench/gpu_check/rules.py",
        "default=math.inf) / EXTRA_GAIN",
        "default=math.inf)",
        "bench/test_gpu_check.py",
    ),
    Mutant(
        "a call uses its last minute",
        "study/bench/gpu_check/run.py",
        "+ seconds - min(MARGIN, LARGEST_MARGIN * seconds)",
        "+ seconds",
        "bench/test_gpu_check.py",
    ),
)


# What the tests import that is heavy and none of ours: imported once, before the mutants' processes are forked.
HEAVY = ["pytest", "torch", "torchvision", "pytorch_lightning", "pandas", "scipy.stats", "sklearn.datasets"]


def survives(mutant: Mutant) -> bool:
    """Whether no test notices the change; it is tried in this process, which serves for nothing else.

    Raises:
        RuntimeError: the line that is to change does not stand there once, or the tests cannot be run.
    """
    with TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        copy(tree)
        change(tree / mutant.file, mutant)
        output = Path(folder) / "output"
        status = run_tests(tree, mutant.tests.split(), output)
        if status not in (0, 1):
            raise RuntimeError(f"{mutant.name}: pytest ended with status {status}\n{output.read_text()}")
        return status == 0


def fails_unchanged(names: str) -> bool:
    """Whether test files fail on a copy that is as the tree is: they would then tell nothing of a mutant."""
    with TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        copy(tree)
        return run_tests(tree, names.split(), Path(folder) / "output") != 0


def copy(tree: Path) -> None:
    """Copy what the tests need."""
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "runs", "build", "*.pyc"))


def change(path: Path, mutant: Mutant) -> None:
    """Change the one line."""
    text = path.read_text()
    if text.count(mutant.before) != 1:
        raise RuntimeError(
            f"{mutant.name}: {mutant.before!r} stands {text.count(mutant.before)} times in {mutant.file}"
        )
    path.write_text(text.replace(mutant.before, mutant.after))


def run_tests(tree: Path, names: list[str], output: Path) -> int:
    """Run test files on a copy of the tree, in this process and with its standard output in a file."""
    import pytest

    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    sys.path[:] = [str(tree), *(path for path in sys.path if path not in ("", str(ROOT)))]
    files = [str(tree / "tests" / name) for name in names]
    status = int(pytest.main(["-qx", "-n0", "-p", "no:cacheprovider", "-m", "not slow", *files]))
    loaded = {Path(module.__file__ or "") for name, module in sys.modules.items() if name in ("study", "reports")}
    if not loaded or not all(file.is_relative_to(tree) for file in loaded):
        raise RuntimeError(f"the tests ran on another tree: {loaded}")
    return status


def main() -> int:
    """Try them; returns how many survive, or how many test files fail without a change."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(HEAVY)
    with ProcessPoolExecutor(2, context, max_tasks_per_child=1) as pool:
        return control(pool) if "--control" in sys.argv else trial(pool)


def control(pool: ProcessPoolExecutor) -> int:
    """Run each test file that a mutant names on an unchanged copy."""
    names = list(dict.fromkeys(mutant.tests for mutant in MUTANTS))
    outcomes = list(pool.map(fails_unchanged, names))
    for name, has_failed in zip(names, outcomes, strict=True):
        print(f"{'FAILS' if has_failed else 'passes':8}  {name} without a mutant")
    return sum(outcomes)


def trial(pool: ProcessPoolExecutor) -> int:
    """Try the mutants whose names contain every word of the command line."""
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.name for word in sys.argv[1:])]
    outcomes = list(zip(chosen, pool.map(survives, chosen), strict=True))
    for mutant, survived in outcomes:
        print(f"{'SURVIVES' if survived else 'caught':8}  {mutant.name} ({mutant.file})")
    return sum(survived for _, survived in outcomes)


if __name__ == "__main__":
    sys.exit(bool(main()))
