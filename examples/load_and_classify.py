"""Load a trained network and classify images: files, which are scaled to the size of its input, or ten test images.

    python examples/load_and_classify.py reports/results/weights/cifar10-20-none-paper-s0 cat.jpg dog.png
    python examples/load_and_classify.py ENTITY/PROJECT/RUN --data=data

The network is a folder that `study export` wrote, USER/NAME on the Hugging Face Hub, or ENTITY/PROJECT/RUN in W&B.
"""

import argparse
from pathlib import Path

import torch
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.functional import resize

import study
from study.data.datasets import load_in_memory

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("network")
parser.add_argument("images", nargs="*")
parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets (default: %(default)s)")
arguments = parser.parse_args()

net = study.load(arguments.network)
channels, *size = net.preprocess.size
if arguments.images:
    mode = ImageReadMode.RGB if channels == 3 else ImageReadMode.GRAY
    read = [resize(decode_image(path, mode), size) * (net.preprocess.peak / 255) for path in arguments.images]
    names, images = arguments.images, torch.stack(read)
else:
    dataset = load_in_memory(net.config.dataset, arguments.data)
    names = [f"test image {i}, {dataset.classes[label]}" for i, label in enumerate(dataset.test_labels[:10])]
    images = torch.from_numpy(dataset.test_images[:10]).permute(0, 3, 1, 2)

with torch.no_grad():
    confidence, position = net(net.preprocess(images)).softmax(1).max(1)
for name, percent, guess in zip(names, 100 * confidence, position, strict=True):
    print(f"{name}: {net.config.classes[guess]} ({percent:.0f} %)")
