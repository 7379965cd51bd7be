"""The Hugging Face Hub: a network as its library's mixin knows it, and uploading an exported folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from study.spec import InputError
from study.weights.load import EXPORTED, fetch
from study.weights.pretrained import CARD, TrainedResNet, read_exported, save_exported

try:
    from huggingface_hub import HfApi, PyTorchModelHubMixin, get_token
    from huggingface_hub.errors import HfHubHTTPError
except ImportError:
    raise InputError("the Hugging Face Hub needs its package; run: pip install huggingface_hub") from None


class HubResNet(TrainedResNet, PyTorchModelHubMixin):
    """A trained network with ``from_pretrained`` and ``save_pretrained``, in the format of ``study export``.

    Example:
        ``HubResNet.from_pretrained("USER/NAME")``, or with the path of an exported folder.
    """

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **_: Any) -> TrainedResNet:  # type: ignore[override]
        folder = Path(model_id)
        return read_exported(folder if folder.is_dir() else fetch(model_id), cls)

    def _save_pretrained(self, save_directory: Path) -> None:
        save_exported(self, save_directory)


def push(folder: Path, name: str, private: bool, sure: bool) -> int:
    """Upload an exported folder to the Hugging Face Hub, after saying what will be uploaded and asking.

    Args:
        folder: A folder that ``study export`` wrote.
        name: Of the model on the Hub, ``USER/NAME``; it is created if it does not exist.
        private: Whether only its owner can see it.
        sure: Whether not to ask.

    Returns:
        The exit status: 0 if it was uploaded, 1 if the answer was no.

    Raises:
        InputError: the folder is not sound, nobody is logged in, nobody can be asked, or the Hub refuses.
    """
    read_exported(folder)
    if get_token() is None:
        raise InputError("no account is logged in at the Hugging Face Hub; run: hf auth login")
    files = [folder / file for file in EXPORTED if (folder / file).exists()]
    for file in files:
        print(f"  {file.name:20} {file.stat().st_size:>12,} bytes")
    print(f"These {len(files)} files go to {name}, {'for its owner alone' if private else 'for everyone to see'}.")
    if not sure and not _agreed():
        print("Nothing was uploaded.")
        return 1
    try:
        api = HfApi()
        api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=name, folder_path=folder, allow_patterns=list(EXPORTED), commit_message=_title(folder)
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise InputError(f"{name} was not uploaded: {str(error).strip().splitlines()[0]}") from None
    print(f"{name} has the network of {folder}; it loads with: study.load({name!r})")
    return 0


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise InputError("nobody can be asked whether to upload; add --yes to upload without being asked")
    return input("Upload? [y/N] ").strip().lower() == "y"


def _title(folder: Path) -> str:
    """The heading of the model card, as the message of the commit."""
    lines = (folder / CARD).read_text().splitlines()
    return next(line.removeprefix("# ") for line in lines if line.startswith("# "))
