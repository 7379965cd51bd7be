"""Trains: the paper's networks under its recipes, one recorded run per cell."""
