"""The model card of an exported network: what its record says, and nothing that it does not say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from tabulate import tabulate

from study.data.datasets import dataset_info
from study.departures import DEPARTURES
from study.spec import title
from study.weights.pretrained import CONFIG, Config

PAPER = "Deep Residual Learning for Image Recognition (arXiv 1512.03385)"
CITATION = """\
@inproceedings{he2016deep,
  title     = {Deep Residual Learning for Image Recognition},
  author    = {He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  year      = {2016}
}"""
LOADING = {
    ".safetensors": """\
```python
import study

net = study.load("THIS_FOLDER")
logits = net(net.preprocess(images))  # images: levels {levels}, (N, {channels}, {height}, {width})
```""",
    ".torchscript": """\
```python
import torch

net = torch.jit.load("THIS_FOLDER/{file}")
logits = net(images)  # images: levels {levels} as floats, (N, {channels}, {height}, {width})
```""",
    ".onnx": """\
```python
import onnxruntime

net = onnxruntime.InferenceSession("THIS_FOLDER/{file}")
(logits,) = net.run(None, {{"images": images}})  # images: levels {levels}, float32, (N, {channels}, {height}, {width})
```""",
}


def card(config: Config) -> str:
    """Write the model card of an exported network as Markdown, with the metadata that the Hugging Face Hub reads."""
    parts = [
        f"---\n{yaml.safe_dump(_metadata(config), sort_keys=False)}---",
        f"# {title(config.dataset, config.depth, config.shortcut)}, trained on {_data(config)}",
        _summary(config),
        "## Load it",
        _loading(config),
        "## Errors",
        tabulate(
            list(_errors(config)), ["images", "wrong", "of", "top-1 error", "how"], "github", disable_numparse=True
        ),
        "## How it was trained",
        tabulate(list(_training(config)), ["", ""], "github", disable_numparse=True),
        "## Where it departs from the paper",
        "\n".join(_departures(config)),
        "## Licence and citation",
        f"The weights are under the MIT licence, as the study's code. The images of {_data(config)} are their owners'. "
        f"If you use the network, cite the paper:\n\n```bibtex\n{CITATION}\n```",
        f"File `{config.file}`, SHA-256 `{config.sha256}`; `{CONFIG}` has all of this page for programs.",
    ]
    return "\n\n".join(parts) + "\n"


def _departures(config: Config) -> Iterator[str]:
    """The departures that concern the data set, as a list."""
    for one in DEPARTURES:
        if one.dataset in ("", config.dataset):
            yield f"- {one.what}: the paper: {one.paper}. Here: {one.ours}."


def _data(config: Config) -> str:
    return dataset_info(config.dataset).title


def _metadata(config: Config) -> dict[str, Any]:
    """What the Hub reads of a card: https://huggingface.co/docs/hub/model-cards."""
    errors = config.measured or config.recorded
    accuracy = {"type": "accuracy", "value": round(1 - errors.wrong / errors.seen, 6), "name": "top-1 accuracy"}
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"type": config.dataset, "name": _data(config), "split": "test"},
        "metrics": [accuracy],
    }
    return {
        "license": "mit",
        "library_name": "resnet-study",
        "pipeline_tag": "image-classification",
        "datasets": [config.dataset],
        "tags": ["resnet", "image-classification", "reproduction"],
        "model-index": [{"name": config.name, "results": [result]}],
    }


def _summary(config: Config) -> str:
    kind = "A plain network" if config.shortcut == "none" else f"A residual network with shortcuts {config.shortcut}"
    scaled = (
        " The recipe is scaled down from the paper's, so its error says nothing about the paper's."
        if config.trained["scale"] == "toy"
        else ""
    )
    return (
        f"{kind} of {config.depth} layers, trained by recipe `{config.recipe}` with seed {config.seed} in "
        f"a reproduction of *{PAPER}*. It is the run `{config.name}`.{scaled}"
    )


def _loading(config: Config) -> str:
    channels, height, width = config.image_size
    text = next(text for ending, text in LOADING.items() if config.file.endswith(ending))
    return text.format(file=config.file, levels=f"0 to {config.peak}", channels=channels, height=height, width=width)


def _errors(config: Config) -> Iterator[tuple[str, str, str, str, str]]:
    """The recorded errors, and those of this file's own weights."""
    recorded, measured = config.recorded, config.measured
    precision = config.trained["precision"]
    yield (
        "test",
        f"{recorded.wrong:,}",
        f"{recorded.seen:,}",
        f"{recorded.percent:.2f} %",
        f"at the last step of training, precision {precision}",
    )
    if measured:
        rounding = "" if config.dtype == "float32" else f", weights rounded to {config.dtype}"
        how = f"of this file, computed in float32{rounding}"
        yield "test", f"{measured.wrong:,}", f"{measured.seen:,}", f"{measured.percent:.2f} %", how
    train = config.trained["train_top1_error"]
    yield "training", "", "", f"{train:.2f} %", "running error of the last part of training, on crops and flips if any"


def _training(config: Config) -> Iterator[tuple[str, str]]:
    """The record's own values; what it does not have is left out."""
    for key, value in config.trained.items():
        if value is not None and key not in ("scale", "train_top1_error"):
            yield key.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    if config.trained["train_images"] is None:
        yield "train images", "all"
