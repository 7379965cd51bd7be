"""Serve by hand: ``python tests/wandb_server`` prints the variables that point a client here."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from wandb_server import Server

for name, value in Server().environment.items():
    print(f"export {name}={value}", flush=True)
threading.Event().wait()
