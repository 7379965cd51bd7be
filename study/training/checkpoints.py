"""The checkpoints of a run: the last and the one before it, each compared with its digest when written and when used.

    checkpoints/last.ckpt      the newest
                previous.ckpt  the one before it; gone when the run is finished
                digests.json   the SHA-256 of both, written before either is renamed
                last.damaged   a checkpoint that could not be used, kept

All of them lie in the folder of the run.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from pytorch_lightning.plugins.io import CheckpointIO

from study.recipes import recipe_for
from study.recording.files import read_json, sync_folder, write_json, write_synced
from study.recording.record import Record
from study.spec import InputError
from study.weights.pretrained import sha256

LISTED = 3  # digests: of the new checkpoint, and of the two that it replaces


@dataclass(frozen=True)
class Start:
    """Where a run goes on.

    Attributes:
        checkpoint: The checkpoint to load; None to begin with step 0.
        damaged: The checkpoints that cannot be used, with the reasons.
        kept: Number of lines of the history that the run goes on from; those behind a gap are recorded again.
    """

    checkpoint: Path | None
    damaged: Mapping[Path, str]
    kept: int


class Checkpoints(CheckpointIO):
    """Writes and reads the checkpoints of a run, in place of Lightning's way over the system's temporary folder.

    Args:
        record: The run.
    """

    def __init__(self, record: Record) -> None:
        self.spec = record.spec
        self.last = record.checkpoint
        self.previous = self.last.with_name("previous.ckpt")
        self._digests = self.last.with_name("digests.json")
        self._damaged: set[Path] = set()

    def start(self, record: Record) -> Start:
        """Find where the run goes on: at the newest checkpoint that is sound and whose evaluations are on record."""
        due = recipe_for(self.spec).evaluation_steps
        damaged: dict[Path, str] = {}
        steps = [row["step"] for row in record.sound_rows()]
        kept = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(steps, due, strict=False))))
        for path in (self.last, self.previous):
            if path.exists():
                if not (fault := self._fault(path, due, kept)):
                    return Start(path, damaged, kept)
                damaged[path] = fault
                self._damaged.add(path)
        return Start(None, damaged, kept)

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint, read it again, and only then let it take the place of the last.

        Raises:
            OSError: The disk is full, cannot be written, or gives back something else.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        digest = hashlib.sha256(content.getbuffer()).hexdigest()
        temporary = self.last.with_suffix(".tmp")
        temporary.parent.mkdir(exist_ok=True)
        write_synced(temporary, content.getbuffer())
        if sha256(temporary) != digest:
            raise OSError(errno.EIO, "what was written is not what is read", str(temporary))
        before = self._listed() or [sha256(path) for path in (self.last,) if path.exists()]
        write_json(self._digests, {"sha256": [digest, *before][:LISTED]})
        self._replace(temporary)

    def _replace(self, temporary: Path) -> None:
        """Keep the last checkpoint as the previous one, unless it is damaged, and put the new one in its place."""
        if self.last in self._damaged:
            os.replace(self.last, self.last.with_suffix(".damaged"))
        elif self.last.exists():
            _give_second_name(self.last, self.previous)
        os.replace(temporary, self.last)
        sync_folder(self.last.parent)
        self._damaged.clear()

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Load a checkpoint; whatever asks, no code in it is run."""
        loaded: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        return loaded

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint, if it is there."""
        Path(path).unlink(missing_ok=True)

    def _listed(self) -> list[str]:
        """The digests of the checkpoints, the newest first; none of a run of an older release."""
        try:
            return list((read_json(self._digests) or {}).get("sha256", []))
        except InputError:
            return []

    def _fault(self, path: Path, due: Sequence[int], kept: int) -> str:
        """Why a checkpoint cannot be used; empty if it can.

        Args:
            path: The checkpoint.
            due: The steps that are evaluated.
            kept: How many of them, from the first on, have a sound line.
        """
        if listed := self._listed():
            if sha256(path) not in listed:
                return "it is damaged: its digest is another than when it was written"
        elif not is_whole(path):
            return "it is damaged: a part of it does not have its checksum"
        try:
            cell = self.load_checkpoint(path, "cpu")["cell"]
            name, step = cell["name"], cell["step"]
        except Exception:  # torch raises a dozen kinds for a file that it does not understand
            return "it cannot be loaded"
        if name not in (self.spec.name, self.spec.former_name):
            return f"it is of {str(name)[:100]!r}"
        if not (isinstance(step, int) and 0 <= step <= due[-1]):
            return f"its step is {str(step)[:100]}"
        if lost := [one for one in due[kept:] if one <= step]:
            return f"the history has no sound line for step {lost[0]:,}, which it has behind it"
        return ""


def _give_second_name(path: Path, other: Path) -> None:
    """Put a file in the place of another one, too, so that at no moment one of both is missing."""
    link = other.with_suffix(".tmp")
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
    except OSError:  # a file system without links
        os.replace(path, other)
    else:
        os.replace(link, other)


def is_whole(path: Path) -> bool:
    """Whether a checkpoint without a digest, of an older release, has the checksums that torch gives its parts."""
    try:
        with ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # zipfile raises many kinds for a damaged directory
        return False
