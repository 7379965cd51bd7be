"""Break the product, one line at a time, and see that a test notices: what a suite is worth.

    python -m tests.mutants             all of them, two at a time; exit status 1 where one survives
    python -m tests.mutants philox      those whose name contains the word

Each mutant is a copy of the tree with one line changed, on which the tests that should notice are run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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
        "digits are split otherwise",
        "study/data/digits.py",
        "random_state=0",
        "random_state=1",
        "test_golden.py",
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
        "running averages count a batch twice",
        "study/training/step.py",
        "norm.momentum = 0.0",
        "norm.momentum = 0.1",
        "training/test_step.py",
    ),
    Mutant(
        "a repeated step is recorded again",
        "study/recording/record.py",
        'row["step"] <= last',
        'row["step"] < last',
        "recording/test_record.py",
    ),
    Mutant(
        "training error drawn solid, test error dashed",
        "reports/figures/series.py",
        'dashed=split == "train" and len(splits) > 1,',
        'dashed=split == "test" and len(splits) > 1,',
        "reports/test_figures.py",
    ),
    Mutant(
        "curves show the worst seed",
        "reports/figures/series.py",
        "mean = seeds.mean()",
        "mean = seeds.max()",
        "reports/test_figures.py",
    ),
    Mutant(
        "Fig. 7's sorted panel is not sorted",
        "reports/figures/series.py",
        "sorted(stds, reverse=True) if is_sorted else list(stds)",
        "list(stds)",
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
        'found["moment"] == moment]',
        'found["moment"] != moment]',
        "reports/test_figures.py",
    ),
    Mutant(
        "device hours forget the devices",
        "reports/tables/cost.py",
        "(runs['hours'] * runs['world_size']).sum()",
        "runs['hours'].sum()",
        "reports/test_tables.py",
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
        "holm([f.p_for for f in findings])",
        "holm(sorted(f.p_for for f in findings))",
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
        "hours of an estimate from milliseconds taken for microseconds",
        "study/sweeps/estimate.py",
        "/ 1e3 +",
        "/ 1e6 +",
        "sweeps/test_estimate.py",
    ),
    Mutant(
        "a disk needs room for one checkpoint only",
        "study/machine/device.py",
        "needed = 2 * checkpoint",
        "needed = checkpoint",
        "machine/test_device.py",
    ),
    Mutant(
        "processes outlive their parent",
        "study/machine/device.py",
        "PR_SET_PDEATHSIG, signal.SIGKILL)",
        "PR_SET_PDEATHSIG, 0)",
        "machine/test_device.py",
    ),
    Mutant(
        "the GPU's service outlives its processes",
        "study/machine/mps.py",
        'input=b"quit\\n"',
        'input=b"\\n"',
        "machine/test_mps.py",
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
        "if _is_tracked(file):",
        "if True:",
        "recording/test_version.py",
    ),
    Mutant(
        "agents are told the W&B mode of the launch",
        "study/machine/options.py",
        'Option("W&B mode", "run", choices',
        'Option("W&B mode", "run", "STUDY_WANDB", choices',
        "machine/test_options.py sweeps/test_agents.py",
    ),
)


def survives(mutant: Mutant) -> bool:
    """Whether no test notices the change."""
    with TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv", "runs", "build", "*.pyc"))
        path = tree / mutant.file
        text = path.read_text()
        if text.count(mutant.before) != 1:
            sys.exit(f"{mutant.name}: {mutant.before!r} stands {text.count(mutant.before)} times in {mutant.file}")
        path.write_text(text.replace(mutant.before, mutant.after))
        tests = [str(tree / "tests" / name) for name in mutant.tests.split()]
        command = [sys.executable, "-m", "pytest", "-qx", "-n0", "-p", "no:cacheprovider", "-m", "not slow", *tests]
        variables = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=tree, env=variables, capture_output=True, text=True)
        if done.returncode not in (0, 1):
            sys.exit(f"{mutant.name}: pytest could not run\n{done.stdout}{done.stderr}")
        return done.returncode == 0


def main() -> int:
    """Try them; returns how many survive."""
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.name for word in sys.argv[1:])]
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(zip(chosen, pool.map(survives, chosen), strict=True))
    for mutant, survived in outcomes:
        print(f"{'SURVIVES' if survived else 'caught':8}  {mutant.name} ({mutant.file})")
    return sum(survived for _, survived in outcomes)


if __name__ == "__main__":
    sys.exit(bool(main()))
