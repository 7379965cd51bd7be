"""The W&B account: whether W&B can be used on this machine, and a guard around calls of its client.

The address of the server and the key are looked up as the client does, but without its import, which takes a second.
"""

from __future__ import annotations

import configparser
import importlib.util
import netrc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from study.spec import InputError

PROJECT = "resnet-study"  # unless WANDB_PROJECT names another
PUBLIC = "https://api.wandb.ai"
MODES = ("online", "offline", "disabled")
FAREWELL = 10.0  # seconds for wandb's service to end; without a server it may never end by itself


def resolve_mode(requested: str) -> str:
    """Resolve the value of ``--wandb`` to online, offline or disabled.

    ``auto`` is the value of WANDB_MODE if that is set, else what ``wandb offline`` or ``wandb disabled`` has set, else
    online if an API key is configured, else offline.

    Raises:
        InputError: W&B is requested but not installed.
    """
    if requested == "auto":
        requested = preset_mode() or requested
    if requested == "disabled":
        return requested
    if not has_client():
        if requested != "auto":
            raise InputError(f"--wandb={requested} needs wandb; run: pip install wandb, or give --wandb=disabled")
        return "disabled"
    if requested != "auto":
        return requested
    return "online" if has_account() else "offline"


def check_account(otherwise: str = "") -> None:
    """Check that an API key is configured.

    Args:
        otherwise: What the user can do without one: the end of the message.

    Raises:
        InputError: There is none.
    """
    if not has_account():
        raise InputError(f"W&B has no API key here; run: wandb login{otherwise and f', or {otherwise}'}")


def check_project(path: str) -> None:
    """Check that a path is ENTITY/PROJECT.

    Raises:
        InputError: It is not.
    """
    if path.count("/") != 1:
        raise InputError(f"--wandb={path} is not ENTITY/PROJECT; write it as in --wandb=my-team/resnet-study")


@contextmanager
def wandb_call(what: str, fix: str) -> Iterator[None]:
    """Call W&B's client inside this context; its background service ends with the context, unless an open run needs it.

    Args:
        what: What failed, if the call fails: the beginning of the message.
        fix: What to do then: the end of the message.

    Raises:
        InputError: The client failed; its errors have no base class in common.
    """
    is_shared = has_run()
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        yield
    except Exception as error:
        raise InputError(f"{what} ({' '.join(str(error).split())}); {fix}") from error
    finally:
        if not is_shared:
            end_client()


def end_client() -> None:
    """End the background service of W&B's client.

    Left alone, it may hold on to a run that failed, or keep this process from exiting.
    """

    def end() -> None:
        with suppress(Exception):
            import wandb

            wandb.teardown()

    farewell = Thread(target=end, daemon=True)
    farewell.start()
    farewell.join(FAREWELL)


def has_client() -> bool:
    """Whether the package `wandb` is installed; a folder of that name, which it writes where it is used, is none."""
    found = importlib.util.find_spec("wandb")
    return found is not None and found.origin is not None


def has_run() -> bool:
    """Whether a W&B run is open in this process, as in the notebook of somebody who loads a network there."""
    client = sys.modules.get("wandb")
    return client is not None and client.run is not None


def preset_mode() -> str | None:
    """The mode that WANDB_MODE or the settings of W&B's client name, None if neither does."""
    preset = os.environ.get("WANDB_MODE") or client_setting("mode")
    return preset if preset in MODES else None


def has_account() -> bool:
    """Whether an API key is configured: WANDB_API_KEY, or an entry in the netrc file. No server is asked."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        return bool(netrc.netrc(path).authenticators(urlsplit(address()).netloc))
    except (OSError, netrc.NetrcParseError):
        return False


def address() -> str:
    """The address of the W&B server: WANDB_BASE_URL, else what ``wandb login --host`` has set, else the public one."""
    return (os.environ.get("WANDB_BASE_URL") or client_setting("base_url") or PUBLIC).rstrip("/")


def client_setting(name: str) -> str | None:
    """A setting in the files of W&B's client, those of this folder before those of the user; None if none has it."""
    own = Path(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb").expanduser()
    found = None
    for folder in (own, Path("wandb")):
        settings = configparser.ConfigParser()
        with suppress(OSError, configparser.Error, UnicodeDecodeError):  # the client warns of such a file and goes on
            settings.read(folder / "settings")
            found = settings.get("default", name, fallback=found)
    return found
