"""``study gpu-check``: what a GPU does with the study in its first half hour, in stages that survive each other."""
