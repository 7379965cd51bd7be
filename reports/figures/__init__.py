"""The paper's figures with our curves."""
