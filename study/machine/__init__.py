"""The machine a run uses: its options, its devices."""
