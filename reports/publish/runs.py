"""Runs in W&B that train nothing: they hold the report, or a curve of the paper. `gather` ignores them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wandb import Run

PATIENCE = 30  # seconds for one request, and for a run to open
UPLOAD = 600  # seconds for all that a run sends


@dataclass(frozen=True)
class Project:
    """A project in W&B."""

    entity: str
    name: str

    @property
    def path(self) -> str:
        """ENTITY/PROJECT."""
        return f"{self.entity}/{self.name}"


@contextmanager
def opened(project: Project, run_id: str, **about: Any) -> Iterator[Run]:
    """Open a run, or that of the same id again, and close it once W&B has everything.

    Args:
        project: Where it is.
        run_id: Its id. If a run of this id was deleted, which W&B never accepts again, a number is added to it.
        about: Its name, job type, group, tags and configuration.

    Yields:
        The run.
    """
    with TemporaryDirectory() as folder:
        run = _init(project, run_id, dir=folder, **about)
        try:
            yield run
        except BaseException:
            run.finish(exit_code=1)
            raise
        run.finish()


def _init(project: Project, run_id: str, **about: Any) -> Run:
    import wandb

    quiet: dict[str, Any] = {"console": "off", "disable_git": True, "disable_code": True}
    nothing_of_this_machine: dict[str, Any] = {"x_disable_stats": True, "x_disable_meta": True}
    patience: dict[str, Any] = {"init_timeout": PATIENCE, "finish_timeout": UPLOAD, "finish_timeout_raises": True}
    settings = wandb.Settings(**quiet, **nothing_of_this_machine, **patience)
    fixed: dict[str, Any] = {"entity": project.entity, "project": project.name, "mode": "online", "settings": settings}
    ids = chain([run_id], (f"{run_id}-{number}" for number in count(2)))
    while True:
        try:
            return wandb.init(id=next(ids), resume="allow", reinit="create_new", **fixed, **about)
        except wandb.errors.CommError as error:
            if "deleted" not in str(error):
                raise
