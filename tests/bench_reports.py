"""How fast the report is: from a new row to the served page, and a whole build of many runs.

    python -m tests.bench_reports                         50 runs watched, 1,000 runs built; medians
    python -m tests.bench_reports --watched=200 --rounds=9 --built=0

A benchmark, not a test: its numbers are those of a machine. docs/performance.md has some.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

import numpy as np

from reports.gathering import snapshot
from study.recording.files import write_json
from study.spec import Spec
from tests.fixtures.make_snapshot import cells, history, make
from tests.records import ENDED, PROVENANCE, digest
from tests.support import ENVIRONMENT, ROOT

NETWORKS = len(cells(1))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watched", type=int, default=50, help="runs under the watched folder; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=7, help="new rows, one after the other")
    parser.add_argument("--built", type=int, default=1000, help="runs of the snapshot that is built; 0 leaves it out")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        if options.watched:
            print(watched(Path(folder), options.watched, options.rounds))
        if options.built:
            print(built(Path(folder), options.built))


def watched(folder: Path, runs: int, rounds: int) -> str:
    """From the moment when a row is in a record to the moment when a client has the page with it."""
    *_, (path, rows) = write_records(folder / "runs", runs)
    keep = len(rows) - rounds
    path.write_text("".join(rows[:keep]))
    (path.parent / "summary.json").unlink()
    waits, used = [], []
    with watching(folder) as (address, pid):
        version = served(address, "")
        for row in rows[keep:]:
            time.sleep(2)  # the build before it and its pause are over: one new row, not a queue of them
            before, started = processor_time(pid), time.monotonic()
            with path.open("a") as file:
                file.write(row)
            version = served(address, version)
            waits.append(time.monotonic() - started)
            used.append(processor_time(pid) - before)
    return (
        f"{runs} runs, from a new row to the page: median {statistics.median(waits):.2f} s of {rounds} "
        f"({min(waits):.2f} to {max(waits):.2f}); processor time {statistics.median(used):.2f} s"
    )


def write_records(runs: Path, count: int) -> Iterator[tuple[Path, list[str]]]:
    """Write finished records; yields the file of each one's evaluations, and its lines."""
    for spec, ends in cells(-(-count // NETWORKS))[:count]:
        rng = np.random.default_rng(crc32(spec.name.encode()))
        rows = history(spec, ends, rng).drop(columns="run").to_dict("records")
        yield write_record(runs / spec.name, spec, rows)


def write_record(folder: Path, spec: Spec, rows: list[dict[str, object]]) -> tuple[Path, list[str]]:
    folder.mkdir(parents=True)
    lines = [json.dumps(row) + "\n" for row in rows]
    write_json(folder / "spec.json", spec.factors)
    write_json(folder / "provenance.json", PROVENANCE)
    (folder / "metrics.jsonl").write_text("".join(lines))
    write_json(folder / "summary.json", {**rows[-1], **ENDED, "weights_sha256": digest(spec.name)})
    return folder / "metrics.jsonl", lines


@contextmanager
def watching(folder: Path) -> Iterator[tuple[str, int]]:
    """The address of a watch, and its process."""
    command = [sys.executable, "-m", "reports", "watch", f"--runs={folder / 'runs'}", f"--out={folder / 'out'}"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        yield re.findall(r"http://[\d.:]+/", process.stdout.readline())[0], process.pid
        process.terminate()


def served(address: str, version: str) -> str:
    """Wait until the page has another version, load it, and return that version."""
    with urllib.request.urlopen(f"{address}events?{version}") as events:
        while not (line := events.readline()).startswith(b"data:"):
            assert line, "the watch has ended"
    with urllib.request.urlopen(address) as page:
        return re.findall(r"/events\?(\d*)", page.read().decode())[-1]


def processor_time(pid: int) -> float:
    """Seconds of user and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


BUILD = """
import sys, time
from pathlib import Path
from reports.gathering import snapshot
from reports.page import render
from reports.page.sections import report
render.build(report(snapshot.read(Path(sys.argv[1]))), Path(sys.argv[1]), is_drawn=sys.argv[2] == "drawn")
peak = next(line for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))  # getrusage has our parent's
print(f"{time.process_time():.1f} s of processor time, {int(peak.split()[1]) / 1024:.0f} MB at the peak")
"""


def built(folder: Path, runs: int) -> str:
    """A whole build in a process of its own, imports included, without and with drawn figures."""
    seeds = round(runs / NETWORKS)
    snapshot.write(make(seeds), folder / "snapshot")
    lines = [
        f"{seeds * NETWORKS} runs, {how} figures: "
        + subprocess.run(
            [sys.executable, "-c", BUILD, str(folder / "snapshot"), how],
            capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ | ENVIRONMENT,
        ).stdout.strip()
        for how in ("undrawn", "drawn")
    ]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    main()
