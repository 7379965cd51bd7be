"""Trained weights: checkpoints, their digest, other people's formats."""
