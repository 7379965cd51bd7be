"""Trained networks: ``study.load`` of an exported folder or a run folder, here, in W&B or on the Hugging Face Hub."""

from __future__ import annotations

import re
import sys
from functools import cache
from os import PathLike
from pathlib import Path

from study.spec import InputError
from study.weights.digest import weights_sha256
from study.weights.pretrained import CONFIG, Preprocess, TrainedResNet, read_exported

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")  # USER/NAME
WANDB_RUN = re.compile(r"[\w.-]+/[\w.-]+/[\w.-]+")  # ENTITY/PROJECT/RUN
EXPORTED = ("model.safetensors", "config.json", "README.md")


def load(source: str | PathLike[str], data: str | PathLike[str] | None = None) -> TrainedResNet:
    """Load a trained network: on the CPU, in evaluation mode, in float32.

    ``net(net.preprocess(images))`` are the logits (N, classes) of images of levels (N, C, H, W). The network of an
    interrupted run is that of its last checkpoint. An exported folder is read with torch and safetensors alone.

    Args:
        source: A folder that ``study export`` wrote, or a run folder as in ``runs/digits-8-A-mini-s3``. What is no
            folder is fetched: ``USER/NAME`` is a model on the Hugging Face Hub, ``ENTITY/PROJECT/RUN`` a run in W&B.
        data: The folder of the data sets, from which `preprocess` of a run folder takes the mean; by default
            ``STUDY_DATA``, else ``data``.

    Raises:
        InputError: nothing of the kind is there, or it cannot be read.
    """
    folder = Path(source)
    if folder.is_dir():
        return read_exported(folder) if (folder / CONFIG).exists() else _of_run(folder, data)
    if is_wandb_run(source):
        return load_artifact(str(source))
    if HUB_NAME.fullmatch(str(source)) and not folder.parent.exists():
        return read_exported(fetch(str(source)))
    raise InputError(f"{source} does not exist; give the folder of a run, or a folder that study export has written")


def is_wandb_run(source: str | PathLike[str]) -> bool:
    """Whether a source is ENTITY/PROJECT/RUN in W&B, rather than a path that starts in a folder that exists."""
    path = Path(source)
    return bool(WANDB_RUN.fullmatch(str(source))) and not path.parents[1].exists()


def load_artifact(path: str) -> TrainedResNet:
    """Load the final weights that a run has logged in W&B, as an exported network.

    Args:
        path: The run: ENTITY/PROJECT/RUN.

    Raises:
        InputError: they cannot be fetched, or are not those with which the run ended.
    """
    from study.recording.wandb.artifact import fetched_weights

    with fetched_weights(path) as folder:
        net = read_exported(folder)
    assert net.config is not None
    if weights_sha256(net) != net.config.trained.get("weights_sha256"):
        raise InputError(f"the weights of {path} in W&B are not those with which the run ended (their digest differs)")
    return net


def _of_run(folder: Path, data: str | PathLike[str] | None) -> TrainedResNet:
    """Load a run folder; its data are looked for when `preprocess` is first used."""
    from study.weights.checkpoint import load_run, mean_of_run

    net, record = load_run(folder)

    @cache
    def preprocess() -> Preprocess:
        return mean_of_run(record, None if data is None else Path(data))

    net.make_preprocess = preprocess
    return net


def fetch(name: str) -> Path:
    """Fetch an exported network from the Hugging Face Hub into its cache; return the folder.

    Raises:
        InputError: huggingface_hub is not installed, there is no such model, or the Hub cannot be reached.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError:
        raise InputError(
            f"{name} is a name on the Hugging Face Hub; to fetch it: pip install huggingface_hub"
        ) from None
    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        return Path(snapshot_download(name, allow_patterns=list(EXPORTED)))
    except RepositoryNotFoundError:
        raise InputError(f"{name} is neither a folder nor a model on the Hugging Face Hub that you can see") from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{name} cannot be fetched from the Hugging Face Hub: {reason}") from None
