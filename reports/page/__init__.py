"""From a snapshot to REPORT.md, report.html, README and W&B."""
