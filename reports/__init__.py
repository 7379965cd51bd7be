"""Judges: from gathered runs to the paper's tables, curves and claims. Never imports torch."""
