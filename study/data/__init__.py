"""Data sets: one file each, the order of their images, and batches on a device."""
