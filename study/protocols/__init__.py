"""Test protocols: errors of trained networks by a single view, one crop, ten crops, at multiple scales, in an ensemble.

Read in this order:

- ``views.py``: the crops and sizes of a test image in each protocol (Sec. 3.4).
- ``logits.py``: the network's outputs for them, averaged; the fully convolutional network.
- ``errors.py``: top-1 and top-5 errors on a test set, counted.
- ``in_memory.py``: the same for images in memory: CIFAR's single view (Sec. 4.2), ten crops of Tiny ImageNet.
- ``evaluate.py``: the verb ``test``, for run folders and for weight files.
"""
