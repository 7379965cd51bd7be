"""From records on disk and runs in W&B to one snapshot."""
