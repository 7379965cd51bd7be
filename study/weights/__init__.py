"""Trained weights: loading a run's checkpoint, comparing weights, and reading weights that others published.

- ``checkpoint.py``: a run folder as a network, ``study.load(folder)``.
- ``digest.py``: one digest of all weights, by which runs are compared.
- ``torchvision.py``: torchvision's published ResNets in our networks.
"""
