from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from reports.judging.plan import Planned, plan
from reports.paper import numbers as paper
from study.commands.cli import parser
from study.recipes import recipe_for
from study.recording.wandb.account import PROJECT
from study.spec import InputError, Spec
from study.sweeps import grid
from tests.support import ROOT, TINY_SWEEP, run, write_sweep

GOOD = {"dataset": {"value": "digits"}, "depth": {"values": [8]}, "shortcut": {"value": "A"}}


def test_a_bare_name_is_a_sweep_of_this_study_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert grid.find("digits") == ROOT / "sweeps" / "digits.yaml"
    assert set(grid.known_files()) == {path.stem for path in (ROOT / "sweeps").glob("*.yaml")}


def test_a_file_that_is_here_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits").write_text(TINY_SWEEP)
    assert grid.find("digits") == Path("digits") and len(grid.cells(grid.find("digits"))) == 3


@pytest.mark.parametrize("verb", [("sweep",), ("launch", "--gpus=cpu")])
@pytest.mark.process
def test_an_unknown_name_gets_one_line_with_the_names(verb: tuple[str, ...]) -> None:
    done = run("study", *verb, "digit")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout
    assert done.stderr.startswith(
        "study: sweep file digit does not exist; give a path, or one of these names: cifar_110, "
    )
    assert "digits, digits_seeds" in done.stderr


def test_cells_come_in_an_agents_order(tmp_path: Path) -> None:
    names = [spec.name for spec in grid.cells(write_sweep(tmp_path, TINY_SWEEP))]
    assert names == [f"digits-8-{s}-mini-s0" for s in ("none", "A", "B")]


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda path: path.name)
def test_every_sweep_file_is_sound(path: Path) -> None:
    """Cells that exist, an explicit command, and flags that the trainer has, however W&B spells them."""
    cells, file = grid.cells(path), yaml.safe_load(path.read_text())
    assert file["command"] == ["${env}", "python", "-m", "study", "train", "${args}"]
    assert file["method"] == "grid" and file["run_cap"] == len(cells)
    assert file["metric"] == {"name": "test/top1_error", "goal": "minimize"}
    assert (file["project"], file["name"]) == (PROJECT, path.stem)
    head = path.read_text()
    assert f"wandb sweep sweeps/{path.name}; wandb agent --forward-signals SWEEP " in head, "or its runs are orphans"
    assert f"python -m study sweep sweeps/{path.name} " in head
    for spec in cells:
        options = parser().read(["train", *(f"--{k}={v}" for k, v in spec.factors.items())])
        assert Spec(options.dataset, options.depth, options.shortcut, options.recipe, options.seed) == spec


def planned_cells(claim: Planned) -> set[Spec]:
    """The cells that a claim of the report's plan asks for."""
    return {
        Spec(claim.dataset, net.depth, net.shortcut, net.recipe or "paper", seed)  # type: ignore[arg-type]
        for net in claim.nets
        for seed in range(claim.seeds)
    }


@pytest.mark.parametrize("claim", plan().claims.values(), ids=lambda claim: claim.id)
def test_the_sweeps_of_a_claim_hold_the_seeds_that_it_is_planned_with(claim: Planned) -> None:
    held = {cell for name in claim.sweeps for cell in grid.cells(ROOT / "sweeps" / f"{name}.yaml")}
    assert planned_cells(claim) <= held


PLANNED = {sweep for claim in plan().claims.values() for sweep in claim.sweeps}
TINY = {"tiny_plain_vs_residual", "tiny_shortcuts", "tiny_deep"}


@pytest.mark.parametrize("name", sorted(PLANNED | TINY))
def test_a_planned_sweep_says_what_it_costs(name: str) -> None:
    """Forward and backward: three times the multiply-adds of a forward pass, of two operations each."""
    path = ROOT / "sweeps" / f"{name}.yaml"
    table = paper.complexity().set_index(["dataset", "depth", "shortcut"])["multiply_adds"]
    cells = grid.cells(path)
    each = [(recipe_for(cell), table[cell.dataset, str(cell.depth), cell.shortcut]) for cell in cells]
    operations = sum(6 * float(adds) * recipe.batch * recipe.steps for recipe, adds in each)
    head = re.search(r"# (\d+) cells, (\d+) seeds? a network.* Cost: (\S+) operations", path.read_text())
    assert head and (int(head[1]), float(head[3])) == (len(cells), pytest.approx(operations, rel=0.05))
    assert {cell.seed for cell in cells} == set(range(int(head[2])))


def test_the_sweeps_hold_every_cell_that_the_exhibits_need_and_none_twice() -> None:
    cells = [cell for path in sorted((ROOT / "sweeps").glob("*.yaml")) for cell in grid.cells(path)]
    assert len(cells) == len(set(cells))
    tables = {Spec("cifar10", result.depth, result.shortcut) for result in paper.CIFAR10}
    tables |= {Spec("imagenet", result.depth, result.shortcut) for result in paper.IMAGENET}
    assert tables <= set(cells)
    planned = {cell for claim in plan().claims.values() for cell in planned_cells(claim)}
    assert {cell for cell in cells if cell.recipe in ("paper", "long", "nowarmup", "warmup")} == planned
    variants = {cell.recipe for cell in cells} - {"paper"}
    assert variants == {"mini", "eighth", "long", "nowarmup", "warmup", "paper45k", "afternoon"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dept": {"value": 8}}, "parameter 'dept' is unknown; did you mean 'depth'"),
        ({"lr": {"value": 0.1}}, "parameter 'lr' is unknown; choose one of: dataset"),
        ({"seed": {"value": "1e-4"}}, "YAML reads '1e-4' as text; write numbers bare, and 1e-4 as 1.0e-4"),
        ({"depth": {"value": "20"}}, "YAML reads '20' as text"),
        ({"depth": {"value": 20.0}}, "20.0 is not a whole number"),
        ({"depth": {"values": []}}, "needs a list of values that is not empty"),
        ({"depth": {"min": 8, "max": 20}}, "needs either 'value: ...' or 'values: [...]'"),
        ({"depth": 8}, "needs either"),
        ({"depth": {"values": [8, 21]}}, "depth 21 is not 6n"),
        ({"shortcut": {"value": "D"}}, "shortcut 'D' is unknown"),
        ({"recipe": {"value": "fast"}}, "'fast' is unknown"),
    ],
)
def test_a_wrong_parameter_is_named(tmp_path: Path, change: dict[str, object], says: str) -> None:
    path = write_sweep(tmp_path, yaml.safe_dump({"method": "grid", "parameters": GOOD | change}))
    with pytest.raises(InputError, match=says.replace("[", r"\[")):
        grid.cells(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("method: grid", "a block 'parameters'"),
        ("method: random\nparameters: {dataset: {value: digits}}", "'random' is not 'grid'"),
        ("methods: grid\nparameters: {}", "key 'methods' is unknown; did you mean 'method'"),
        ("method: grid\nparameters: {dataset: {value: digits}}", "'depth' is missing"),
        ("method: [grid\n", "not valid YAML"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        grid.cells(write_sweep(tmp_path, text))


def test_none_may_be_yamls_null(tmp_path: Path) -> None:
    parameters = GOOD | {"shortcut": {"values": [None, "A"]}}
    path = write_sweep(tmp_path, yaml.safe_dump({"method": "grid", "parameters": parameters}))
    assert [spec.shortcut for spec in grid.cells(path)] == ["none", "A"]
