"""A run's final weights in W&B: its model artifact ``model-RUN``, logged when it ends and fetched by the run's path.

The version ``final`` also has the cell's name and the digest of the weights as aliases. `study.weights` writes and
reads the files.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

from study.recording.record import Record
from study.recording.wandb.account import check_account, has_client, wandb_call
from study.spec import InputError

if TYPE_CHECKING:
    from wandb import Run

WriteWeights: TypeAlias = "Callable[[Path], object]"
TYPE, FINAL = "model", "final"
PATIENCE = 20  # seconds for one request


def log_weights(run: Run, record: Record, write: WriteWeights) -> None:
    """Log the weights of a finished run as its model artifact, and wait until W&B has them.

    Args:
        run: The W&B run, online.
        record: The record of the run.
        write: Writes the files into a folder.

    Raises:
        Exception: they cannot be written, or W&B refuses them, or does not confirm them within WANDB_FINISH_TIMEOUT.
    """
    import wandb

    summary = record.summary()
    assert summary is not None
    with TemporaryDirectory() as folder:
        write(Path(folder))
        artifact = wandb.Artifact(_name(run.id), TYPE, metadata=record.spec.factors)
        artifact.add_dir(folder)
        logged = run.log_artifact(artifact, aliases=[FINAL, record.spec.name, summary["weights_sha256"]])
        logged.wait(math.ceil(float(os.environ["WANDB_FINISH_TIMEOUT"])))


@contextmanager
def fetched_weights(path: str) -> Iterator[Path]:
    """Download the weights that a run has logged.

    Args:
        path: The run in W&B: ENTITY/PROJECT/RUN, where RUN is its id.

    Yields:
        A temporary folder with the files, which have the digests that W&B has of them.

    Raises:
        InputError: W&B is not installed, there is no account, the run has no weights there, or W&B cannot be reached.
    """
    if not has_client():
        raise InputError(f"{path} is a run in W&B; to fetch its weights: pip install wandb")
    check_account("give the folder of a run, or one that study export has written")
    entity, project, run = path.split("/")
    fix = "check the path (a run that ended online has them, unless it had --artifact=off), or export its folder"
    with TemporaryDirectory() as folder:
        with wandb_call(f"the weights of {path} cannot be fetched from W&B", fix):
            import wandb

            artifact = wandb.Api(timeout=PATIENCE).artifact(f"{entity}/{project}/{_name(run)}:{FINAL}", TYPE)
            artifact.download(root=folder, skip_cache=True)
            artifact.verify(root=folder)
        yield Path(folder)


def _name(run_id: str) -> str:
    return f"model-{run_id}"
