"""Trained weights: loading, exporting and comparing them, and reading those that others published.

- ``load.py``: ``study.load`` of an exported folder or a run folder, here, in W&B or on the Hugging Face Hub.
- ``pretrained.py``: the format of an exported folder, and the network that is read from one.
- ``checkpoint.py``: a run's checkpoint.
- ``export.py``, ``formats.py``, ``card.py``: writing an exported folder, its file of weights, and its model card.
- ``hub.py``: the Hugging Face Hub.
- ``digest.py``: one digest of all weights, by which runs are compared.
- ``torchvision.py``, ``foreign.py``: others' weights in our networks, for ImageNet and for CIFAR-10.
"""
