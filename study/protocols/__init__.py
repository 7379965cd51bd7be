"""How a trained network is tested: the paper's views of an image, and the verb ``test``."""
