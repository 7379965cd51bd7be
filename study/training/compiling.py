"""The training forward of a network as torch compiles it: elementwise operations of neighbouring layers become one.

Only training uses it. Evaluation, checkpoints and digests use the network itself, whose weights are the same tensors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from study.machine.compiler import prepare_compiler
from study.training.step import Forward, blocks

WHOLE = 60  # blocks: compiling takes some seconds a block, so deeper networks are compiled block by block
MANY = 64  # compilations that one process may need: of several networks, and of several kinds of blocks


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
