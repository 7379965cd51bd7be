"""The machine that a run uses: its options and its devices."""
