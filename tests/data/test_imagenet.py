"""ImageNet: real JPEGs through the pipeline, whole runs in real processes, broken layouts and what is said of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from scipy import stats
from torchvision import transforms
from torchvision.models._meta import _IMAGENET_CATEGORIES

from study.data.datasets import load_dataset
from study.data.imagenet import folder, jpeg
from study.data.imagenet.dataset import ImageNet, load_imagenet
from study.data.imagenet.prepare import prepare
from study.data.imagenet.readers import CROP, EIGENVALUES, EIGENVECTORS, plan
from study.protocols.evaluate import evaluate
from study.recipes import RECIPES, ImageNetRecipe
from study.recording.record import Record
from study.spec import InputError, Spec
from tests.support import ROOT, Start, arrange, every, is_cut_off, run, values, wait_for

PAPER, SMOKE = ImageNetRecipe(), RECIPES["imagenet"]["smoke"]
CPU = torch.device("cpu")
SPEC = Spec("imagenet", 18, "A", "smoke", 0)
CELL = ("--dataset=imagenet", "--depth=18", "--shortcut=A", "--recipe=smoke")


@pytest.fixture(scope="module")
def data(imagenet: Path) -> ImageNet:
    return load_imagenet(imagenet)


# What is drawn


def test_scales_crops_flips_and_colour_are_distributed_as_stated() -> None:
    plans = [plan(PAPER, 1_281_167, seed=0, step=step) for step in range(200)]
    shorter, top, left, flip, light = (np.concatenate([p[i] for p in plans]) for i in range(1, 6))
    assert set(shorter) == set(range(256, 481)), "both ends occur"
    assert stats.chisquare(np.bincount(shorter)[256:]).pvalue > 1e-3
    assert all(stats.kstest(place, "uniform").pvalue > 1e-3 for place in (top, left))
    assert abs(stats.spearmanr(top, left).statistic) < 0.015 > abs(stats.spearmanr(top, shorter).statistic)
    assert stats.binomtest(int(flip.sum()), len(flip)).pvalue > 1e-3
    alpha = light @ EIGENVECTORS / EIGENVALUES / (EIGENVECTORS**2).sum(0)  # the components are orthogonal to 1e-3
    for component in alpha.T:
        assert stats.kstest(component, stats.norm(0, 0.1).cdf).pvalue > 1e-3
    expected = EIGENVECTORS @ np.diag((0.1 * EIGENVALUES) ** 2) @ EIGENVECTORS.T
    np.testing.assert_allclose(np.cov(light.T), expected, rtol=0.03, atol=1e-9)


def test_every_offset_of_a_crop_occurs_equally() -> None:
    places = np.concatenate([plan(PAPER, 1_000, seed=1, step=step).top for step in range(200)])
    for length in (256, 300, 480):
        offsets = np.array([jpeg.offset(place, length, CROP) for place in places])
        assert set(offsets) == set(range(length - CROP + 1))
        assert stats.chisquare(np.bincount(offsets)).pvalue > 1e-3
    assert jpeg.offset(np.nextafter(1.0, 0.0), 480, CROP) == 480 - CROP


# What is read


def test_the_test_crop_is_torchvisions_to_the_bit(jpegs: list[Path]) -> None:
    theirs = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    for path in every(jpegs, 40):
        with Image.open(path) as image:
            np.testing.assert_array_equal(jpeg.centre(jpeg.decode(path), 256, CROP), theirs(image.convert("RGB")))


def test_a_training_crop_is_the_whole_image_resized_and_cut(jpegs: list[Path]) -> None:
    """But for half a pixel of the file, and where the decoder skips detail."""
    rng = np.random.default_rng(0)
    for path in every(jpegs, 40):
        (top, left), shorter = rng.random(2), int(rng.integers(256, 481))
        decoded = jpeg.decode(path)
        got = jpeg.crop(decoded, shorter, top, left, CROP).astype(float)
        pixels = jpeg.whole(decoded, shorter).astype(float)
        y, x = (jpeg.offset(place, length, CROP) for place, length in zip((top, left), pixels.shape[:2], strict=True))
        slack = int(np.ceil(shorter / min(decoded.size) / 2)) + 1  # half a pixel of the file, in pixels of the crop
        shifts = range(-slack, slack + 1)
        windows = [pixels[max(0, y + a) :, max(0, x + b) :][:CROP, :CROP] for a in shifts for b in shifts]
        near = min(np.abs(got - window).mean() for window in windows if window.shape == got.shape)
        elsewhere = np.abs(got - np.roll(got, 20, axis=(0, 1))).mean()
        assert near < 0.35 * elsewhere + 1.0, path.name


def test_skipped_detail_stays_close_to_the_image(jpegs: list[Path]) -> None:
    large = [path for path in every(jpegs, 200) if min(Image.open(path).size) >= 512]
    assert len(large) >= 5
    for path in large:
        drafted, full = (jpeg.decode(path, detail) for detail in (256, None))
        assert drafted.size == full.size and drafted.image.size < full.image.size
        assert min(drafted.image.size) >= 256
        got, want = (jpeg.whole(decoded, 256).astype(float) for decoded in (drafted, full))
        moved = np.abs(np.roll(want, 1, axis=(0, 1)) - want).mean()
        assert np.abs(got - want).mean() < moved / 3, "far less than a pixel's shift does"
        assert abs((got - want).mean()) < 0.2


def test_what_a_file_may_hold_never_stops_a_run_and_is_counted(jpegs: list[Path], tmp_path: Path) -> None:
    path = jpegs[0]
    whole = Image.open(path).convert("RGB")
    for name, mode in (("grey", "L"), ("cmyk", "CMYK")):
        whole.convert(mode).save(tmp_path / name, "JPEG", quality=95)
    whole.save(tmp_path / "png", "PNG")
    whole.convert("P").save(tmp_path / "palette", "PNG")
    (tmp_path / "truncated").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("not found")
    wanted = {
        **{"grey": "converted", "cmyk": "converted", "png": "none", "palette": "converted"},
        **{"truncated": "broken", "empty": "broken", "text": "broken"},
    }
    for name, trouble in wanted.items():
        one, again = (jpeg.decode(tmp_path / name, 256) for _ in range(2))
        assert one.trouble == trouble and one.image.mode == "RGB", name
        assert jpeg.crop(one, 300, 0.9, 0.1, CROP).shape == (CROP, CROP, 3)
        assert one.image.tobytes() == again.image.tobytes()
    upper = (0, 0, whole.width, whole.height // 4)
    difference = np.asarray(jpeg.decode(tmp_path / "truncated").image.crop(upper)).astype(int) - whole.crop(upper)
    assert np.abs(difference).mean() < 1, "what was there is kept"
    colours = [np.asarray(jpeg.decode(tmp_path / n).image).mean((0, 1)) for n in ("cmyk", "png")]
    assert np.abs(colours[0] - colours[1]).max() < 12, "CMYK is not inverted"
    with pytest.raises(FileNotFoundError):
        jpeg.decode(tmp_path / "gone")


def test_a_batch_is_what_a_plain_loop_makes_of_its_plan(data: ImageNet) -> None:
    images, labels = data.on(CPU, SMOKE).batch(seed=5, step=50)  # in the second epoch
    chosen = plan(SMOKE, 180, 5, 50)
    for i, (number, shorter, top, left, flip, light) in enumerate(zip(*chosen, strict=True)):
        path = Path(data.folder.train.path(number))
        pixels = jpeg.crop(jpeg.decode(path, int(shorter)), int(shorter), top, left, CROP)
        expected = (pixels - data.folder.mean.astype(np.float64)) / 255
        expected = (expected[:, ::-1] if flip else expected) + light
        np.testing.assert_allclose(images[i].permute(1, 2, 0), expected, atol=1e-6)
        assert data.folder.classes[labels[i]] == path.parent.name


def test_batches_do_not_depend_on_what_was_read_before_nor_on_the_ranks(data: ImageNet) -> None:
    one, other = data.on(CPU, SMOKE), data.on(CPU, SMOKE)
    first, second = one.batch(0, 7), one.batch(0, 8)
    assert torch.equal(other.batch(0, 8)[0], second[0]) and not torch.equal(first[0], second[0])
    halves = [data.on(CPU, SMOKE).batch(0, 8, rank, 2) for rank in range(2)]
    for i in range(2):
        assert torch.equal(torch.cat([half[i] for half in halves]), second[i])
    assert not torch.equal(one.batch(1, 8)[0], second[0])


def test_test_images_come_in_order_whether_expected_or_not(data: ImageNet) -> None:
    images = data.on(CPU, SMOKE)
    alone = [images.test_batch(*part) for part in ((0, 7), (7, 20))]
    images.expect([(0, 7), (7, 20)])
    for part, want in zip(((0, 7), (7, 20)), alone, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(images.test_batch(*part), want, strict=True))
    assert torch.cat([labels for _, labels in alone]).tolist() == list(range(20))


def test_classes_are_in_the_order_of_published_weights(real_images: list[Path]) -> None:
    """The sample's class numbers, sorted, name torchvision's categories in rising order."""
    names = [path.stem.split("_", 1)[1].replace("_", " ").lower() for path in real_images]
    places = [i for name in names if (i := index_of(name)) is not None]
    assert len(places) > 150 and places == sorted(places)


def index_of(name: str) -> int | None:
    known = [category.lower() for category in _IMAGENET_CATEGORIES]
    return known.index(name) if known.count(name) == 1 else None


# Whole runs


def train(runs: Path, data: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return run("study", "train", *CELL, f"--runs={runs}", f"--data={data}", *more)


@pytest.fixture(scope="module")
def finished(imagenet: Path, tmp_path_factory: pytest.TempPathFactory) -> Record:
    runs = tmp_path_factory.mktemp("runs")
    done = train(runs, imagenet)
    assert done.returncode == 0, done.stderr
    return Record(runs, SPEC)


@pytest.mark.slow
def test_a_killed_run_goes_on_in_mid_epoch_to_the_same_end(
    finished: Record, imagenet: Path, tmp_path: Path, start: Start
) -> None:
    record = Record(tmp_path, SPEC)
    process = start("study", "train", *CELL, f"--runs={tmp_path}", f"--data={imagenet}")
    wait_for(lambda: record.checkpoint.exists() or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and record.history()[-1]["epoch"] < 0.5
    process = start("study", "train", *CELL, f"--runs={tmp_path}", f"--data={imagenet}")
    wait_for(lambda: bool(readers(process.pid)) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGTERM)  # as a cluster does: to the reading processes too
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 143 and "run the same command again to resume at step 1" in output, output
    done = train(tmp_path, imagenet)
    assert done.returncode == 0, done.stderr
    ends = [end for end in (record.summary(), finished.summary()) if end]
    assert len({end["weights_sha256"] for end in ends}) == 1 and len(ends) == 2
    assert values(record) == values(finished)


def readers(pid: int) -> list[int]:
    """The children of a process that ignore SIGTERM."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        status = {int(child): Path(f"/proc/{child}/status").read_text() for child in children}
    except OSError:
        return []
    ignored = {child: int(text.partition("SigIgn:")[2].split()[0], 16) for child, text in status.items()}
    return [child for child, mask in ignored.items() if mask >> (signal.SIGTERM - 1) & 1]


@pytest.mark.slow
def test_a_reader_that_is_killed_ends_the_run_in_one_line(
    finished: Record, imagenet: Path, tmp_path: Path, start: Start
) -> None:
    """As the kernel does when memory is short."""
    process = start("study", "train", *CELL, f"--runs={tmp_path}", f"--data={imagenet}")
    wait_for(lambda: bool(readers(process.pid)) or process.poll() is not None)
    os.kill(readers(process.pid)[0], signal.SIGKILL)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 1 and "a process that reads images has ended" in output, output
    assert "Traceback" not in output and not readers(process.pid)
    assert train(tmp_path, imagenet).returncode == 0
    assert values(Record(tmp_path, SPEC)) == values(finished)


@pytest.mark.slow
def test_two_ranks_count_each_validation_image_once(finished: Record, imagenet: Path, tmp_path: Path) -> None:
    done = train(tmp_path, imagenet, "--devices=2")
    assert done.returncode == 0, done.stderr
    one, two = finished.history(), Record(tmp_path, SPEC).history()
    for key in ("test/seen", "train/seen", "train/converted", "train/broken", "samples"):
        assert [row[key] for row in two] == [row[key] for row in one]
    assert one[-1]["test/seen"] == 20 and one[-1]["data_wait_ms"] >= 0
    # On the first stretch batch norm alone tells the ranks' nets apart.
    assert two[0]["train/loss"] == pytest.approx(one[0]["train/loss"], rel=0.3)


@pytest.mark.process
def test_a_finished_run_is_tested_by_its_record(finished: Record, imagenet: Path, tmp_path: Path) -> None:
    """The centre crop over a whole run's own command, alone and as an ensemble with others' weights."""
    data, trained = f"--data={imagenet}", finished.summary()
    assert trained is not None
    done = run("study", "test", str(finished.folder), "--protocol=1crop", data)
    assert done.returncode == 0, done.stderr
    tested = finished.summary()
    assert tested is not None and {key: tested[key] for key in trained} == trained, "nothing is lost"
    assert (tested["1crop/top1_wrong"], tested["1crop/seen"]) == (trained["test/wrong"], 20)
    assert tested["1crop/top1_error"] == 5 * tested["1crop/top1_wrong"] >= tested["1crop/top5_error"]
    assert f"({trained['test/wrong']} of 20 wrong)" in done.stdout
    done = run("study", "test", str(finished.folder), "--protocol=1crop", data, "--recalibrate")
    again = finished.summary()
    assert again is not None and again["1crop/top1_wrong"] == tested["1crop/top1_wrong"], "both numbers are kept"
    assert again["1crop-recalibrated/seen"] == 20


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(ROOT.glob("sweeps/imagenet_*.yaml")), ids=lambda file: file.stem)
@pytest.mark.process
def test_a_smoke_cell_of_each_sweep_runs_here(file: Path, imagenet: Path, tmp_path: Path) -> None:
    """The sweep's own file with the first value of each parameter, and the recipe for trying things out."""
    sweep = yaml.safe_load(file.read_text())
    first = {
        name: {"value": (block.get("values") or [block["value"]])[0]} for name, block in sweep["parameters"].items()
    }
    (tmp_path / "smoke.yaml").write_text(yaml.safe_dump(sweep | {"parameters": first | {"recipe": {"value": "smoke"}}}))
    done = run("study", "sweep", str(tmp_path / "smoke.yaml"), f"--runs={tmp_path}", f"--data={imagenet}")
    assert done.returncode == 0, done.stderr
    (record,) = (Record(tmp_path, Spec.parse(path.name)) for path in tmp_path.glob("imagenet-*"))
    assert record.state() == "finished" and record.history()[-1]["test/seen"] == 20


@pytest.mark.parametrize(
    ("protocol", "says"),
    [
        ("11crop", "protocol for imagenet '11crop' is unknown; choose one of: 10crop, 1crop, dense, ensemble"),
        ("ensemble", "an ensemble needs at least two"),
        ("dense", "is not finished or has no checkpoint; train it to the end first"),
    ],
)
def test_what_cannot_be_tested_is_said(protocol: str, says: str, tmp_path: Path) -> None:
    (tmp_path / SPEC.name).mkdir()
    with pytest.raises(InputError, match=says):
        evaluate([tmp_path / SPEC.name], protocol, tmp_path, recalibrate=False)


def test_a_subset_cannot_stand_for_the_papers(imagenet: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"declared a subset \(20 of 1,000 classes, 180 training images\).* train with --recipe=smoke"
    ):
        load_dataset(Spec("imagenet", 18, "A"), imagenet)
    assert load_dataset(SPEC, imagenet).extent == "20 of 1,000 classes, 180 training images"
    with pytest.raises(InputError, match=f"run: python -m study prepare imagenet --data={tmp_path}"):
        load_dataset(SPEC, tmp_path)


# Layouts


@pytest.fixture
def layout(jpegs: list[Path], tmp_path: Path) -> Path:
    arrange(jpegs, tmp_path / "imagenet", classes=5)
    return tmp_path


@pytest.mark.process
def test_a_killed_preparation_is_done_again(layout: Path) -> None:
    """Killed before the index is written, which says that all the rest is there."""
    prepare = ("study", "prepare", "imagenet", "--subset", f"--data={layout}")
    done = run("tests.signalled", "SIGKILL", "open:index.tmp:1", *prepare)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(InputError, match="is not prepared; run"):
        load_imagenet(layout)
    assert run(*prepare).returncode == 0
    assert load_imagenet(layout).test_size == 5


def doctor(data: Path) -> tuple[int, str]:
    """Exit status of ``study doctor``, and what it says of ImageNet."""
    done = run("study", "doctor", f"--data={data}", f"--runs={data}")
    assert not done.stderr, done.stderr
    return done.returncode, "\n".join(line for line in done.stdout.splitlines() if line.startswith("imagenet"))


def test_the_doctor_names_what_is_broken_and_the_fix(layout: Path) -> None:
    root = layout / "imagenet"
    (root / "train" / "lost+found").mkdir()
    assert "lost+found is not a class folder (one has a name like n01440764); move it away" in told(layout)
    (root / "train" / "lost+found").rmdir()
    first = min((root / "val").iterdir())
    shutil.move(first, layout / "away")
    assert f"val lacks {first.name}, which train has" in told(layout)
    shutil.move(layout / "away", first)
    for image in list(first.iterdir()):
        image.rename(layout / image.name)
    assert f"val has no image in {first.name}; copy" in told(layout)
    shutil.rmtree(root / "val")
    assert "val is missing; put or link" in told(layout)


def told(data: Path) -> str:
    return "\n".join(folder.problems(data, subset=True))


@pytest.mark.process
def test_the_doctor_ends_with_2_on_what_is_broken_and_0_on_what_is_sound(layout: Path, imagenet: Path) -> None:
    status, said = doctor(layout)
    assert status == 2 and "train has 5 classes, not 1,000; copy what is missing, or declare a subset" in said
    status, said = doctor(imagenet)
    assert status == 0 and "a declared subset" in said and "180 and 20 images, 20 classes" in said


def test_one_image_too_few_is_said() -> None:
    """ILSVRC 2012's own numbers, but for one image of the last class."""
    wnids = [folder.ENDS[0], *(f"n{10_000_000 + i}" for i in range(998)), folder.ENDS[1]]
    found = {"train": dict.fromkeys(wnids, ["x"] * 1281), "val": dict.fromkeys(wnids, ["x"] * 50)}
    found["train"][wnids[-1]] = ["x"] * (1_281_166 - 999 * 1281)
    (said,) = folder.content_problems(Path("d/imagenet"), found, subset=False, data=Path("d"))
    assert "d/imagenet/train has 1,281,166 images, not 1,281,167" in said
    found["train"][wnids[-1]].append("x")
    assert not list(folder.content_problems(Path("d/imagenet"), found, subset=False, data=Path("d")))
    other = {split: {("n00000001" if k == wnids[0] else k): v for k, v in x.items()} for split, x in found.items()}
    assert "begins with n00000001" in next(folder.content_problems(Path("d"), other, subset=False, data=Path("d")))


def test_folders_that_cannot_be_read_are_said(jpegs: list[Path]) -> None:
    """As a user who is not root, in a process of its own; root may read everything."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        data = Path(name)
        data.chmod(0o755)
        arrange(jpegs, data / "imagenet", classes=5)
        first = min((data / "imagenet" / "train").iterdir())
        first.chmod(0)
        said = as_another_user(lambda: told(data))
        first.chmod(0o755)
    assert f"{first} cannot be read; run: chmod -R u+rX {first.parent}" in said


def as_another_user(say: Callable[[], str]) -> str:
    """What a function says in a forked process that is not root's."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            if os.geteuid() == 0:
                os.setresuid(65534, 65534, 65534)
            os.write(writing, say().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.wait()
    return said


@pytest.mark.parametrize("one_a_line", [False, True])
def test_a_flat_validation_folder_is_sorted_by_its_label_file(one_a_line: bool, layout: Path) -> None:
    root = layout / "imagenet"
    owner = {image.stem: image.parent.name for image in (root / "val").rglob("*.JPEG")}
    for image in list((root / "val").rglob("*.JPEG")):
        image.rename(root / "val" / image.name)
    for wnid in set(owner.values()):
        (root / "val" / wnid).rmdir()
    assert "val is flat: 5 images are not in class folders; put LOC_val_solution.csv" in told(layout)
    with pytest.raises(InputError, match="there is no label file in"):
        prepare(layout, None, subset=True)
    lines = [f"{stem},{wnid} 10 20 300 400" for stem, wnid in owner.items()]
    (root / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *lines[1:]]))
    with pytest.raises(InputError, match="names the classes of 4 images, but val has 5; complete it"):
        prepare(layout, None, subset=True)
    if one_a_line:
        (root / "LOC_val_solution.csv").unlink()
        (root / "imagenet_2012_validation_synset_labels.txt").write_text("\n".join(owner[k] for k in sorted(owner)))
    else:
        (root / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *lines]))
    assert prepared_as(root) in prepare(layout, None, subset=True)
    assert {image.stem: image.parent.name for image in (root / "val").rglob("*.JPEG")} == owner


def prepared_as(root: Path) -> str:
    """What `prepare` says of 200 images, five of them to test on: PIL and the end marker tell which are not right."""
    files = list((root / "train").rglob("*.JPEG"))
    cut_off = sum(is_cut_off(file) for file in files)
    converted = sum(Image.open(file).mode != "RGB" for file in files if not is_cut_off(file))
    return f"195 training images ({converted} converted, {cut_off} broken), 5 test images"


def test_prepare_links_a_source_and_notes_its_mean(layout: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert prepared_as(layout / "imagenet") in prepare(other, layout / "imagenet", True)
    images = folder.load(other)
    assert (other / "imagenet" / "train").is_symlink() and len(images.train) == 195
    crops = [jpeg.centre(jpeg.decode(images.train.path(i)), 256, CROP) for i in range(195)]
    assert np.abs(images.mean - np.mean(crops, axis=0)).max() < 3, "but for the detail that decoding skips"
    (layout / "imagenet" / "train" / images.classes[0] / "new.JPEG").symlink_to(images.train.path(0))
    with pytest.raises(InputError, match="train has changed since it was prepared; run: python -m study prepare"):
        folder.load(other)
    with pytest.raises(InputError, match="holds no folders train and val"):
        prepare(tmp_path / "third", tmp_path / "imagenet" / "train", True)
