"""Run ``python -m ...`` and print its peak memory in kilobytes as the last word: a small process that starts it.

What a process used before it starts another program counts for that program too, so pytest cannot measure it itself.
"""

from __future__ import annotations

import resource
import subprocess
import sys

if __name__ == "__main__":
    status = subprocess.run([sys.executable, "-m", *sys.argv[1:]]).returncode
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    sys.exit(status)
