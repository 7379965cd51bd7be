"""Serve by hand: ``python -m tests.wandb_server`` prints the variables that point a client here."""

from __future__ import annotations

import threading

from tests.wandb_server import Server

for name, value in Server().environment.items():
    print(f"export {name}={value}", flush=True)
threading.Event().wait()
