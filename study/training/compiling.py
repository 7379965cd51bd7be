"""The training forward of a network as torch compiles it: elementwise operations of neighbouring layers become one.

Only training uses it. Evaluation, checkpoints and digests use the network itself, whose weights are the same tensors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from study.machine.compiler import prepare_compiler
from study.machine.options import StepMode
from study.network import ResNet
from study.training.step import Forward, blocks, in_segments

WHOLE = 60  # blocks: compiling takes some seconds a block, so deeper networks are compiled block by block
MANY = 64  # compilations that one process may need: of several networks, and of several kinds of blocks


def training_forward(net: ResNet, step_mode: StepMode, checkpoint_every: int = 0) -> Forward:
    """The forward pass of training, as a way to take steps needs it.

    Args:
        net: A network of this study.
        step_mode: How steps are taken.
        checkpoint_every: Number of blocks between kept activations; 0 keeps all.
    """
    if step_mode in ("compiled", "compiled-graph"):
        return compile_forward(net)
    if step_mode == "fused-graph":
        from study.training.fused.network import fused  # needs triton, which torch has for some machines only

        return fused(net)
    return in_segments(net, checkpoint_every) if checkpoint_every else net


def compile_forward(net: nn.Module) -> Forward:
    """Compile the forward pass of a network, and with it the backward pass, when it is first called.

    The batch must keep its size. Code is kept on disk, so a network that was compiled before starts sooner.

    Args:
        net: A network of this study, with stem, stages, pool and head.
    """
    prepare_compiler()
    torch._dynamo.config.recompile_limit = MANY
    torch._dynamo.config.fail_on_recompile_limit_hit = True  # otherwise it would silently stop compiling
    parts = blocks(net)
    if len(parts) <= WHOLE:
        whole = torch.compile(net, dynamic=False)
        return lambda images: whole(images)  # a function: a module would appear in the state dict a second time
    compiled = [torch.compile(part, dynamic=False) for part in parts]
    stem, pool, head = (net.get_submodule(name) for name in ("stem", "pool", "head"))

    def forward(images: Tensor) -> Tensor:
        x = stem(images)
        for part in compiled:
            x = part(x)
        logits: Tensor = head(pool(x))
        return logits

    return forward
