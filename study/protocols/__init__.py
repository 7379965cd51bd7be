"""Test protocols: errors of trained networks by a single view, one crop, ten crops, at multiple scales, in an ensemble.

Read in this order:

- ``views.py``: the crops and sizes of a test image in each protocol (Sec. 3.4).
- ``logits.py``: the network's outputs for them, averaged; the fully convolutional network.
- ``errors.py``: top-1 and top-5 errors on a test set, counted.
- ``single.py``: errors on whole test images, for networks that are not trained on ImageNet (Sec. 4.2).
- ``evaluate.py``: the verb ``test``, for run folders and for weight files.
"""
