"""Statistics, and the paper's claims as functions with a verdict."""
