"""How fast training is on this machine, compared with other ways to train the same cell."""
