"""Probes: what a trained network computes, layer by layer, and whether a deeper network could compute the same.

Read in this order:

- ``probe.py``: the verb ``probe``, which writes probes.json; ``measures.py`` lists the parts.
- ``signals.py``: forward signals and gradient norms of every layer (vanishing gradients, Sec. 4.1).
- ``blocks.py``: how far each block moves its input, the error without it, and linear classifiers.
- ``deeper.py``: a deeper network that copies this one (Sec. 1).
- ``lesions.py``: several blocks left out, or exchanged.
- ``similarity.py``: do the blocks of two networks represent the images alike?
- ``embedding.py``: test images in a plane.
- ``landscape.py``: a slice of the loss.
- ``mistakes.py``: the test images that are wrong, and the first filters.
- ``layers.py``, ``along.py``: every layer along the training, and the verb ``signals``, which draws it.
- ``responses.py``: standard deviations of layer responses, measured at the end of each run (Fig. 7).
- ``places.py``, ``batches.py``: where networks are looked at, and on which images.
- ``display.py``: tables in the terminal.
"""
