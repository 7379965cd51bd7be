"""Signals and gradients of every layer: are those of plain networks healthy, as Sec. 4.1 says?"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor

from study import network
from study.data.images import Images
from study.network import ResNet
from study.probes.batches import training_loss, unseen_batch
from study.probes.layers import main_layers
from study.recipes import recipe_for
from study.recording.evaluation import Row
from study.spec import Spec


def signals(net: ResNet, spec: Spec, images: Images) -> list[Row]:
    """Measure every layer's signal and gradients on one batch: before training, after one step, and now.

    Returns:
        One row for each layer at each of three moments: ``start``, ``one step`` and ``now``; see `layer_signals`.
    """
    torch.manual_seed(spec.seed)
    start = network.build(spec.dataset, spec.depth, spec.shortcut).to(images.crops.device)
    moments = {"start": start, "one step": _after_one_step(start, spec, images), "now": net}
    batch = unseen_batch(spec, images, 0)
    return [
        {"moment": moment} | row for moment, at_moment in moments.items() for row in layer_signals(at_moment, *batch)
    ]


def _after_one_step(start: ResNet, spec: Spec, images: Images) -> ResNet:
    """Train a copy for the run's first step."""
    recipe, net = recipe_for(spec), deepcopy(start)
    sgd = torch.optim.SGD(net.parameters(), recipe.first_lr, recipe.momentum, weight_decay=recipe.weight_decay)
    torch.autograd.backward(training_loss(net, *images.batch(spec.seed, 0)))
    sgd.step()
    return net


def layer_signals(net: ResNet, images: Tensor, labels: Tensor) -> list[Row]:
    """Measure the convolutions of the main path in order, projections left out, in training mode.

    Args:
        net: A network; it is copied and not changed.
        images: (N, C, H, W).
        labels: (N,).

    Returns:
        One row for each layer. weight, gradient: Frobenius norms of its weights and of the loss's gradient with respect
        to them. signal: standard deviation of its response before batch norm. signal_gradient: root mean square of the
        gradient with respect to that response.
    """
    net = deepcopy(net)
    layers = main_layers(net)
    rows: dict[str, Row] = {name: {"layer": name} for name in layers}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda _module, _inputs, response, row=rows[name]: _watch(response, row))
    torch.autograd.backward(training_loss(net, images, labels))
    for name, layer in layers.items():
        assert layer.weight.grad is not None
        rows[name]["weight"] = float(layer.weight.detach().norm())
        rows[name]["gradient"] = float(layer.weight.grad.norm())
    return list(rows.values())


def _watch(response: Tensor, row: Row) -> None:
    """Note the signal of a response now and its gradient when it comes."""
    row["signal"] = float(response.detach().std())

    def note(gradient: Tensor) -> None:
        row["signal_gradient"] = float(gradient.square().mean().sqrt())

    response.register_hook(note)  # type: ignore[no-untyped-call]
