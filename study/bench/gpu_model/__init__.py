"""What a training step asks of a GPU, counted without one: kernels, bytes and arithmetic, and a model of its time."""
