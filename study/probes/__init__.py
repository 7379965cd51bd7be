"""What a trained network computes: signals and gradients, blocks, a deeper copy, layer responses."""
