"""Probes: what a trained network computes, layer by layer, and whether a deeper network could compute the same.

Read in this order:

- ``probe.py``: the verb ``probe``, which measures all of the following and writes probes.json.
- ``signals.py``: forward signals and gradient norms of every layer (vanishing gradients, Sec. 4.1).
- ``blocks.py``: how far each block moves its input, the error without it (lesions), and linear classifiers.
- ``deeper.py``: a network of twice as many blocks that copies this one (Sec. 1).
- ``responses.py``: standard deviations of layer responses, measured at the end of each run (Fig. 7).
- ``batches.py``: the images on which networks are probed.
- ``display.py``: tables in the terminal.
"""
