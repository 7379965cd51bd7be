"""The W&B account: whether W&B can be used on this machine, and a guard around calls of its client."""

from __future__ import annotations

import importlib.util
import netrc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from study.spec import InputError

PROJECT = "resnet-study"  # where WANDB_PROJECT names no other
FAREWELL = 10.0  # seconds for wandb's service to end; where its server is gone it may never do so by itself


def resolve_mode(requested: str) -> str:
    """Resolve the value of ``--wandb`` to online, offline or disabled.

    ``auto`` is the value of WANDB_MODE if that is set, else online if an API key is configured, else offline.

    Raises:
        InputError: W&B is requested but not installed.
    """
    preset = os.environ.get("WANDB_MODE", "")
    if requested == "auto" and preset in ("online", "offline", "disabled"):
        requested = preset
    if requested == "disabled":
        return requested
    if importlib.util.find_spec("wandb") is None:
        if requested != "auto":
            raise InputError(f"--wandb={requested} needs wandb; run: pip install wandb, or give --wandb=disabled")
        return "disabled"
    if requested != "auto":
        return requested
    return "online" if has_account() else "offline"


def check_account(otherwise: str = "") -> None:
    """Refuse to go on without an API key, saying what can be done `otherwise`."""
    if not has_account():
        raise InputError(f"W&B has no API key here; run: wandb login{otherwise and f', or {otherwise}'}")


def check_project(path: str) -> None:
    """Refuse what is not ENTITY/PROJECT."""
    if path.count("/") != 1:
        raise InputError(f"--wandb={path} is no ENTITY/PROJECT")


@contextmanager
def wandb_call(what: str, fix: str) -> Iterator[None]:
    """Call W&B's client inside this context; its background service ends with the context.

    Args:
        what: What failed, if the call fails: the beginning of the message.
        fix: What to do then: the end of the message.

    Raises:
        InputError: The client failed; its errors have no base class in common.
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        yield
    except Exception as error:
        raise InputError(f"{what} ({' '.join(str(error).split())}); {fix}") from error
    finally:
        end_client()


def end_client() -> None:
    """End what wandb's client left running, or it holds on to a run that failed, or to this process when it exits."""

    def end() -> None:
        with suppress(Exception):
            import wandb

            wandb.teardown()

    farewell = Thread(target=end, daemon=True)
    farewell.start()
    farewell.join(FAREWELL)


def has_account() -> bool:
    """Whether an API key is configured, as wandb itself looks for one; asks no server."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return bool(host and netrc.netrc(path).authenticators(host))
    except (OSError, netrc.NetrcParseError):
        return False
