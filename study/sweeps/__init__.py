"""Grid files: read, run on this machine, or distributed by W&B's agents."""
