"""One run from start to end: LightningModule, steps, callbacks, schedule, error counts."""
