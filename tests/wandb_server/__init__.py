"""A loopback W&B server: the part of W&B's HTTP API that the real client needs, with faults on demand.

The real client, agent, Api and wandb-workspaces are the judges; nothing of them is patched.

    cloud.py    what the server holds: runs, sweeps, agents, views
    graphql.py  what it answers to a query
    artifacts.py   and to one about artifacts
    http.py     the socket, uploads, the file stream, and what goes wrong
"""

from tests.wandb_server.cloud import ENTITY, Cloud, Run, Sweep
from tests.wandb_server.http import Faults, Server

__all__ = ["ENTITY", "Cloud", "Faults", "Run", "Server", "Sweep"]
