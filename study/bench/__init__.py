"""How fast training is here, beside what else one could run."""
