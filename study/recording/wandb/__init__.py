"""W&B, written and never read: account, logger, pictures."""
