"""Training in a dozen lines of PyTorch, without Lightning, a record or a callback: what `study train` must equal.

    python -m tests.plain_loop 1000 --data=DATA

trains ResNet-20 under `eighth` in fp32 for so many steps by `study train`, which is then stopped, and by the loop, and
says whether all weights and averages of batch norm are equal. A step of either takes half a second on one core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn
from torch.nn import functional as F

from study import network
from study.data.datasets import load_in_memory
from study.data.images import Arrays, Images
from study.recipes import recipe_for
from study.spec import Spec
from study.training.schedule import Schedule
from study.weights.checkpoint import load_checkpoint
from tests.support import run

LONGEST = 3_600  # seconds that the command may take


def plain_loop(spec: Spec, arrays: Arrays, steps: int) -> nn.Module:
    """The network after so many steps; its batches are those of the cell."""
    recipe = recipe_for(spec)
    images = Images(arrays, recipe, torch.device("cpu"))
    torch.manual_seed(spec.seed)
    net = network.build(spec.dataset, spec.depth, spec.shortcut).to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(net.parameters(), lr=1.0, momentum=0.9, weight_decay=1e-4)
    for step in range(steps):
        x, y = images.batch(spec.seed, step)
        sgd.param_groups[0]["lr"] = Schedule(recipe).rate(step)
        sgd.zero_grad()
        F.cross_entropy(net(x), y).backward()
        sgd.step()
    return net


def differing(spec: Spec, data: Path, steps: int) -> list[str]:
    """The tensors of the network that differ between `study train`, stopped after so many steps, and the loop."""
    with TemporaryDirectory() as runs:
        options = ("--precision=32", "--step=plain", "--wandb=disabled", f"--runs={runs}", f"--data={data}")
        stop = ("tests.signalled", "SIGTERM", f"call:batch:{steps}")
        done = run(*stop, "study", "train", *spec.flags, *options, timeout=LONGEST)
        assert done.returncode == 143, done.stderr
        theirs, step = load_checkpoint(spec, Path(runs) / spec.name / "checkpoints" / "last.ckpt")
    assert step == steps
    ours = plain_loop(spec, load_in_memory(spec.dataset, data), steps).state_dict()
    found = theirs.state_dict()
    return [name for name, tensor in ours.items() if not torch.equal(tensor, found[name])]


def main() -> int:
    """Compare, and say the outcome."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", type=int)
    parser.add_argument("--data", type=Path, default=Path("data"))
    options = parser.parse_args()
    spec = Spec("cifar10", 20, "A", "eighth", 0)
    names = differing(spec, options.data, options.steps)
    print(
        f"{spec.name}, {options.steps} steps in fp32: {f'{len(names)} tensors differ' if names else 'equal to the bit'}"
    )
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
