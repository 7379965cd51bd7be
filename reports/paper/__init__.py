"""The paper's numbers and curves, and other people's results."""
