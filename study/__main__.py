"""The command line: ``python -m study VERB``."""

import sys

from study.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
