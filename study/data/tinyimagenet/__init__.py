"""Tiny ImageNet (Stanford's CS231n): photographs of 200 of ImageNet's classes at 64x64 pixels, all in memory.

- ``source.py``: the official archive or folder: its files, classes and labels, checked.
- ``prepare.py``: from JPEG files to one file of pixels, so that a run starts without decoding.
- ``dataset.py``: reading that file.
"""
