"""Sweep files: reading them, running their cells on this machine, or having W&B's agents run them."""
