"""Fused kernels of the training step on a GPU: batch norm, addition and ReLU in two launches each way."""
