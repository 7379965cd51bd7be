"""Data sets: what images a network is trained on, in which order, and how they are cropped and flipped.

Read in this order:

- ``interface.py``: what the rest of the study may ask of a data set (`DataSetInfo`, `DataSet`, `Batches`).
- ``datasets.py``: the list of all data sets, and loading one by its name.
- ``digits.py``, ``cifar10.py``, ``tinyimagenet/dataset.py``, ``imagenet/dataset.py``: one data set each: loading,
  checking, preparing.
- ``images.py``: images in memory, data augmentation (padding, random crops, flips), batches on a device.
- ``sampling.py``: the sampler: which images batch t holds, and the slice of each rank, a function of seed and step.
- ``imagenet/``: JPEG files from disk to batches.

To add a data set, write its file, add its value to ``datasets.py``, its name to `study.spec.FAMILIES`, its channels and
classes to `study.network.TASKS`, and its recipes to `study.recipes.RECIPES`.
"""
