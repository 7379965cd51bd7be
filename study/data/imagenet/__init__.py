"""ImageNet: folders of JPEG files, indexed once, then decoded, cropped and read ahead by worker processes.

Read in this order:

- ``dataset.py``: ImageNet as a data set of the study.
- ``folder.py``: the layout on disk, its checks, and the index of all files.
- ``prepare.py``: the verb ``prepare imagenet``: links, sorts, checks, indexes, and computes the mean.
- ``jpeg.py``: decoding one file, resizing and cropping it.
- ``readers.py``: random crops, flips and colours (Sec. 3.4), and what a worker process reads for one batch.
- ``read_ahead.py``: the data loader: worker processes that read the next batches.
- ``batches.py``: batches on a device.
"""
