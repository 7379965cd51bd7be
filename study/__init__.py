"""Trains the plain and residual networks of the paper and records every run."""
