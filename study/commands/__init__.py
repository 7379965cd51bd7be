"""The command line: flags, one file per verb, doctor."""
