"""``study bench --pipeline``: ImageNet images per second of one core, compared with torchvision's loader.

The baseline is the loader of torchvision's reference training: ImageFolder, RandomResizedCrop(224), flip, ToTensor,
Normalize, on the same files. All loaders run in this process on one thread and take turns. Processor time is measured,
which other processes on the machine disturb little; the result is the median of the turns' ratios.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import process_time

import torch
from PIL import Image
from torch.utils.data import DataLoader

from study.data.imagenet import jpeg
from study.data.imagenet.batches import Jpegs
from study.data.imagenet.dataset import ImageNet
from study.data.imagenet.folder import Folder
from study.data.imagenet.readers import CROP, CropReader, plan
from study.data.interface import DataSetInfo
from study.recipes import ImageNetRecipe
from study.spec import InputError

BATCH, ROUNDS = 32, 15
RECIPE = ImageNetRecipe(batch=BATCH)
STAGES = ("open", "decode", "crop")


def bench(info: DataSetInfo, data: Path) -> int:
    """Print JSON lines: the speed of each loader, its ratio to torchvision's, and where our loader's time goes.

    Raises:
        InputError: The data set is not read from JPEG files, is not prepared, or has fewer images than one batch.
    """
    dataset = info.load(data)
    if not isinstance(dataset, ImageNet):
        raise InputError(f"{info.title} is not read from JPEG files; give --dataset=imagenet --pipeline")
    folder = dataset.folder
    if len(folder.train) < BATCH:
        raise InputError(
            f"{info.title} in {data} has {len(folder.train)} training images; the bench needs at least {BATCH}"
        )
    torch.set_num_threads(1)
    steps = max(1, len(folder.train) // BATCH)
    loaders = {"plain": _plain(folder), "bytes": _bytes(folder, steps), "finished": _finished(folder, steps)}
    seconds: dict[str, list[float]] = {name: [] for name in loaders}
    for turn in range(ROUNDS + 1):
        for name, make in loaders.items():
            since = process_time()
            images = sum(len(batch) for batch in make(turn))
            if turn:  # the first turn warms up the page cache
                seconds[name].append((process_time() - since) / images)
    for name, taken in seconds.items():
        ratios = [plain / ours for plain, ours in zip(seconds["plain"], taken, strict=True)]
        row = {"loader": name, "images_per_second_per_core": round(1 / median(taken), 1)}
        print(json.dumps({**row, "times_plain": round(median(ratios), 3), "turns": ROUNDS, "images": steps * BATCH}))
    print(json.dumps({"profile_ms_per_image": profile(folder, steps)}))
    return 0


def _plain(folder: Folder) -> Callable[[int], Iterator[torch.Tensor]]:
    """The loader of torchvision's reference training."""
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    cut = [transforms.RandomResizedCrop(CROP), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    normalise = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    files = ImageFolder(str(folder.train.folder), transforms.Compose([*cut, normalise]))
    loader = DataLoader(files, BATCH, shuffle=True, drop_last=True)
    return lambda _: (images for images, _ in loader)


def _bytes(folder: Folder, steps: int) -> Callable[[int], Iterator[torch.Tensor]]:
    """Our loader as far as worker processes go: up to the bytes that are copied to the device."""
    reader = CropReader(folder.train, RECIPE, 0, 0, 1)
    return lambda turn: (
        batch.images for batch in DataLoader(reader, None, sampler=range(turn * steps, (turn + 1) * steps))
    )


def _finished(folder: Folder, steps: int) -> Callable[[int], Iterator[torch.Tensor]]:
    """Our whole loader, with the GPU's part (mean, flip, colour) on this core too."""
    images = Jpegs(folder, RECIPE, torch.device("cpu"), workers=0)
    return lambda turn: (images.batch(0, step)[0] for step in range(turn * steps, (turn + 1) * steps))


def profile(folder: Folder, steps: int) -> dict[str, float]:
    """Measure the milliseconds of one core per image to read the header, to decode, and to crop and resize.

    Decoding reads the header a second time.
    """
    spent = dict.fromkeys(STAGES, 0.0)
    for step in range(steps):
        chosen = plan(RECIPE, len(folder.train), 0, step)
        for number, shorter, top, left in zip(*chosen[:4], strict=True):
            path, times = folder.train.path(number), [process_time()]
            Image.open(path).close()
            times.append(process_time())
            decoded = jpeg.decode(path, int(shorter))
            times.append(process_time())
            jpeg.crop(decoded, int(shorter), top, left, CROP)
            times.append(process_time())
            for i, stage in enumerate(STAGES):
                spent[stage] += times[i + 1] - times[i]
    return {stage: round(1e3 * seconds / (steps * BATCH), 3) for stage, seconds in spent.items()}
