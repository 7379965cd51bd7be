"""What is recorded of a run: its folder of plain files, its provenance, its copy in W&B."""
