"""``study export`` and ``study.load``: what goes out comes back, and whatever was changed on the way is refused."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
import yaml
from packaging.requirements import Requirement
from safetensors.torch import load_file, save_file

from study import load
from study.commands import cli
from study.data.digits import load_digits
from study.recording.record import Record
from study.spec import InputError
from study.weights.digest import weights_sha256
from study.weights.export import outputs
from study.weights.hub import HubResNet
from study.weights.pretrained import CARD, CONFIG, WEIGHTS, sha256
from tests.support import ROOT, SPEC, refusal

FILES = (WEIGHTS, CONFIG, CARD)


def export(source: Path, out: Path, *options: str) -> Path:
    assert cli.run(["export", str(source), f"--out={out}", *options]) == 0
    return out


@pytest.fixture(scope="module")
def exported(undisturbed: Record, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(undisturbed.folder, tmp_path_factory.mktemp("export") / SPEC.name)


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    """An exported folder that a test may damage."""
    return Path(shutil.copytree(exported, tmp_path / SPEC.name))


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """The test images as levels (N, C, H, W), and their labels."""
    arrays = load_digits()
    return torch.from_numpy(arrays.test_images).permute(0, 3, 1, 2), torch.from_numpy(arrays.test_labels)


def errors(folder: Path) -> int:
    """The errors that a reader of the folder counts."""
    net, (images, labels) = load(folder), digits()
    with torch.no_grad():
        return int((net(net.preprocess(images)).argmax(1) != labels).sum())


def test_an_exported_network_makes_the_errors_of_its_run(exported: Path, undisturbed: Record) -> None:
    summary, net = undisturbed.summary(), load(exported)
    assert summary is not None and weights_sha256(net) == summary["weights_sha256"] and not net.training
    assert errors(exported) == summary["test/wrong"]
    assert net.config is not None and net.config.measured is not None
    assert (net.config.measured.wrong, net.config.measured.seen) == (summary["test/wrong"], summary["test/seen"])


def test_a_run_folder_loads_with_the_same_preprocessing(exported: Path, undisturbed: Record) -> None:
    ours, theirs = load(undisturbed.folder).preprocess, load(exported).preprocess
    assert torch.equal(ours.mean, theirs.mean) and ours.peak == theirs.peak == 16 and ours.size == (1, 8, 8)
    with pytest.raises(ValueError, match="the network takes"):
        ours(torch.zeros(2, 3, 32, 32))


def test_the_card_says_what_the_record_says(exported: Path, undisturbed: Record) -> None:
    summary, provenance, text = undisturbed.summary(), undisturbed.provenance(), (exported / CARD).read_text()
    assert summary is not None
    metadata = yaml.safe_load(text.split("---")[1])
    (metric,) = metadata["model-index"][0]["results"][0]["metrics"]
    assert metric["value"] == pytest.approx(1 - summary["test/wrong"] / summary["test/seen"], abs=1e-6)
    for said in (SPEC.name, sha256(exported / WEIGHTS), provenance["commit"], "scaled down", f"of {SPEC.depth} layers"):
        assert said in text
    assert f"{summary['test/top1_error']:.2f} %" in text
    departures = re.findall(r"^- (.+?): the paper: ", text, re.MULTILINE)
    assert departures and not any("ImageNet" in what for what in departures)


def test_export_load_export_gives_the_same_bytes(exported: Path, copy: Path, tmp_path: Path) -> None:
    (copy / CARD).write_text("A card of before.")  # as of a study with fewer departures
    assert (export(copy, tmp_path / "before") / CARD).read_text() == "A card of before."
    again = export(exported, tmp_path / "again")
    net = HubResNet.from_pretrained(exported)
    net.save_pretrained(tmp_path / "mixin")
    for name in FILES:
        assert (exported / name).read_bytes() == (again / name).read_bytes() == (tmp_path / "mixin" / name).read_bytes()


@pytest.mark.parametrize("kind", ["torchscript", "onnx"])
def test_another_runtime_agrees_with_torch(kind: str, exported: Path, tmp_path: Path) -> None:
    out, images = export(exported, tmp_path / kind, f"--format={kind}"), digits()[0][:100].float()
    torch.testing.assert_close(outputs(out, images), outputs(exported, images), rtol=0, atol=1e-4)
    with pytest.raises(InputError, match=f"has no {WEIGHTS}; export the network again"):
        load(out)


def test_rounded_weights_are_counted_again(undisturbed: Record, exported: Path, tmp_path: Path) -> None:
    out = export(undisturbed.folder, tmp_path / "half", "--dtype=bfloat16")
    assert (out / WEIGHTS).stat().st_size < 0.6 * (exported / WEIGHTS).stat().st_size
    net, whole = load(out), load(exported)
    for a, b in zip(net.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b.to(torch.bfloat16).float())
    assert net.config is not None and net.config.measured is not None and net.config.measured.wrong == errors(out)
    assert "weights rounded to bfloat16" in (out / CARD).read_text()


def test_a_changed_file_is_refused(copy: Path) -> None:
    content = bytearray((copy / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (copy / WEIGHTS).write_bytes(content)
    with pytest.raises(InputError, match=r"is not the file that config\.json describes"):
        load(copy)


class Trap:
    """What runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


def test_code_in_a_pickle_is_not_run(copy: Path, tmp_path: Path) -> None:
    trap, sprung = pickle.dumps(Trap(tmp_path / "sprung"), protocol=2), tmp_path / "sprung"
    pickle.loads(trap)
    assert sprung.exists(), "it would"
    sprung.unlink()
    (copy / WEIGHTS).write_bytes(trap)
    describe(copy, sha256=sha256(copy / WEIGHTS))
    with pytest.raises(InputError, match="is not a safetensors file"):
        load(copy)
    run = tmp_path / "run" / SPEC.name
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "last.ckpt").write_bytes(trap)
    with pytest.raises(InputError, match="is not a checkpoint of"):
        load(run)
    assert not sprung.exists()


def describe(folder: Path, **changes: object) -> None:
    """Change values of the description."""
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | changes))


def test_another_network_than_described_is_refused(copy: Path) -> None:
    describe(copy, depth=14)
    says = r"does not hold the network of config\.json: it lacks stage1\.1\.bn1\.bias \(and \d+ more differ\)$"
    with pytest.raises(InputError, match=says):
        load(copy)
    describe(copy, depth=9)
    with pytest.raises(InputError, match="depth 9 is not 6n"):
        load(copy)


@pytest.mark.parametrize(
    ("tensor", "says"), [(None, "it lacks head.bias"), (torch.zeros(3), "its head.bias is (3,)")], ids=["none", "short"]
)
def test_a_tensor_that_differs_is_named(tensor: torch.Tensor | None, says: str, copy: Path) -> None:
    tensors = load_file(copy / WEIGHTS)
    del tensors["head.bias"]
    save_file(tensors | ({} if tensor is None else {"head.bias": tensor}), copy / WEIGHTS)
    describe(copy, sha256=sha256(copy / WEIGHTS))
    with pytest.raises(InputError, match=re.escape(says) + "$"):
        load(copy)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x"}'])
def test_a_description_of_something_else_is_refused(text: str, copy: Path) -> None:
    (copy / CONFIG).write_text(text)
    with pytest.raises(InputError, match="does not describe an exported network"):
        load(copy)


def test_what_cannot_be_exported_is_refused_in_one_line(undisturbed: Record, tmp_path: Path) -> None:
    run, out = Path(shutil.copytree(undisturbed.folder, tmp_path / SPEC.name)), f"--out={tmp_path / 'out'}"
    assert "format 'h5' is unknown" in refusal(cli.run, "export", str(run), out, "--format=h5")
    assert "dtype 'int8' is unknown" in refusal(cli.run, "export", str(run), out, "--dtype=int8")
    assert "--dtype is for" in refusal(cli.run, "export", str(run), out, "--format=onnx", "--dtype=float16")
    (tmp_path / "file").touch()
    assert "cannot be written" in refusal(cli.run, "export", str(run), f"--out={tmp_path / 'file' / 'out'}")
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | {"weights_sha256": "0" * 64}))
    assert "is not the one that its summary describes" in refusal(cli.run, "export", str(run), out)
    (run / "summary.json").unlink()
    assert "is not finished" in refusal(cli.run, "export", str(run), out)
    assert not list(tmp_path.glob("out/*.json")), "nothing counts as exported"


ALONE = """
import sys

sys.path[:0] = [{root!r}, {packages!r}]
import study
import torch
from study.spec import InputError
from study.weights.hub import HubResNet

net, again = study.load({folder!r}), HubResNet.from_pretrained({folder!r})
images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
assert torch.equal(net(net.preprocess(images)), again(again.preprocess(images)))
assert torch.hub.load({root!r}, "resnet56", source="local", pretrained=False).head.out_features == 10
try:
    again.save_pretrained({folder!r} + "-copy")
except InputError as error:
    print(error)
"""


def link_alone(folder: Path, *wanted: str) -> None:
    """Make a folder of packages that has nothing but these and what they require."""
    waiting, done = [(name, "") for name in wanted], set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in done:
            continue
        done.add((name, extra))
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(distribution.locate_file(top))  # type: ignore[arg-type]
        for needed in map(Requirement, distribution.requires or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(needed.name, more) for more in ("", *needed.extras)]


@pytest.mark.process
def test_loading_needs_torch_safetensors_and_the_hub_only(exported: Path, tmp_path: Path) -> None:
    """In a folder of these three packages, without site-packages; only writing needs numpy, and says so."""
    link_alone(tmp_path, "torch", "safetensors", "huggingface_hub")
    assert not (tmp_path / "numpy").exists()
    code = ALONE.format(folder=str(exported), root=str(ROOT), packages=str(tmp_path))
    done = subprocess.run([sys.executable, "-S", "-E", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "safetensors writes with the help of numpy; run: pip install numpy\n"
