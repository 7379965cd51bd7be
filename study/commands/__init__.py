"""The command line: one file per verb, and the flags that they share."""
