"""What ``from study import ...`` offers, and that it is quick."""

from __future__ import annotations

import subprocess
import sys

import pytest

import study
from study.network import build
from study.recipes import RECIPES
from study.spec import Spec
from study.weights.load import load
from tests.support import ROOT

QUICK = """
import sys, study
assert {"Spec", "RECIPES", "build", "load"} <= set(dir(study)), dir(study)
from study import RECIPES, Spec
assert RECIPES[Spec("cifar10", 20, "A").dataset]
sys.exit(" ".join(name for name in ("torch", "numpy", "pandas", "wandb") if name in sys.modules) or None)
"""


def test_the_public_names_are_those_of_their_modules() -> None:
    assert (study.Spec, study.RECIPES, study.build, study.load) == (Spec, RECIPES, build, load)
    assert set(study.__all__) == {"Spec", "RECIPES", "build", "load"}


@pytest.mark.process
def test_importing_the_package_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", QUICK], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'study' has no attribute 'train_everything'"):
        study.train_everything  # noqa: B018
