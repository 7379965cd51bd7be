"""Kill training, gathering and building at random moments; started again, they must end as if left alone.

    python -m tests.faults.soak                     60 faults of a random schedule, whose seed is printed
    python -m tests.faults.soak --faults=60 --seed=7

The moments are certain (`tests.signalled`): a process sends itself the signal at a given batch, or before it opens or
renames a given file, however busy the machine is. docs/reliability.md has the figures of the last one.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count as count_up
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from study.recording.record import MEASUREMENTS, Record
from study.spec import Spec
from tests.faults.pausing import other_ranks, wait_until_stopped
from tests.support import ENVIRONMENT, ROOT
from tests.training.test_resume import assert_equal_records

# A cell with its number of devices; all train in seconds.
CELLS = (
    (Spec("digits", 8, "A", "smoke", 3), 1),
    (Spec("digits", 8, "none", "smoke", 4), 1),
    (Spec("digits", 14, "A", "smoke", 5), 2),
)
FILES = ("metrics.jsonl", "last.tmp", "digests.tmp", "provenance.tmp", "responses.tmp", "confusion.tmp", "summary.tmp")
STOPPED = "a run that goes on after half a second"
WHOM = ("the run", "the run", "the run", "a rank", STOPPED, "a report")
PATIENCE = 300.0  # seconds for one command


@dataclass(frozen=True)
class Fault:
    """One thing that happens to a process.

    Attributes:
        whom: Whom it happens to.
        signum: The signal.
        moment: When, in the words of `tests.signalled`.
    """

    whom: str
    signum: str
    moment: str

    def __str__(self) -> str:
        return f"{self.signum} to {self.whom} at {self.moment}"


def schedule(seed: int) -> Iterator[Fault]:
    """Faults without end; the same seed gives the same ones."""
    draw = random.Random(seed)
    while True:
        whom = draw.choice(WHOM)
        if whom == "a report":
            moment = f"open:{draw.choice(('runs.csv', 'history.csv.gz', 'report.html', 'REPORT.md'))}:1"
        elif draw.random() < 0.4:
            moment = f"call:batch:{draw.randint(1, 20)}"
        else:
            what, file = draw.choice(("open", "rename")), draw.choice(FILES)
            moment = f"{'open' if file == 'metrics.jsonl' else what}:{file}:{draw.randint(1, 2)}"
        kill = draw.choice(("SIGKILL", "SIGKILL", "SIGTERM"))
        yield Fault(whom, "SIGSTOP" if whom == STOPPED else kill, moment)


def soak(folder: Path, seed: int, count: int) -> Counter[str]:
    """Inflict faults on the cells in turn until so many have taken effect, then let each run finish.

    Returns:
        How often each thing happened. A fault whose moment does not come, as that of a run that ends before, is counted
        apart.

    Raises:
        AssertionError: A run or a report ended otherwise than one that was left alone, or something was left behind.
    """
    happened: Counter[str] = Counter()
    for spec, devices in CELLS:
        train(folder / "twins", spec, devices)
    faults, done = schedule(seed), 0
    for spec, devices in cycle(CELLS):
        if done == count:
            break
        fault, runs = next(faults), unfinished(folder, spec)
        say(f"{done + 1} of {count}: {spec.name}, {fault}")
        if inflict(fault, folder, runs, spec, devices):
            happened[f"{fault.signum} to {fault.whom}"] += 1
            done += 1
        else:
            happened["whose moment did not come"] += 1
    for runs in sorted(folder.glob("runs*")):
        for spec, devices in CELLS:
            train(runs, spec, devices)
            compare(Record(runs, spec), Record(folder / "twins", spec))
            happened["runs that ended as when left alone"] += 1
    return happened


def unfinished(folder: Path, spec: Spec) -> Path:
    """The first folder of runs in which a cell is not finished."""
    places = (folder / f"runs{number}" for number in count_up())
    return next(runs for runs in places if Record(runs, spec).summary() is None)


def inflict(fault: Fault, folder: Path, runs: Path, spec: Spec, devices: int) -> bool:
    """Start what the fault happens to, and let it happen; returns whether its moment came."""
    if fault.whom == "a report":
        return report(folder, fault)
    pausing = fault.whom in ("a rank", STOPPED)
    signum = "SIGSTOP" if pausing else fault.signum
    process = start("tests.signalled", signum, fault.moment, *training(runs, spec, devices))
    stopped = pausing and wait_until_stopped(process)
    if stopped:
        ranks = other_ranks(process)
        time.sleep(0.5)
        if fault.whom == "a rank" and ranks:
            os.kill(ranks[0], signal.Signals[fault.signum])
        os.kill(process.pid, signal.SIGCONT)
    said = process.communicate(timeout=PATIENCE)[0]
    number = signal.Signals[fault.signum]
    expected = {0, -number, 128 + number, 143, 1 if fault.whom == "a rank" else 0}
    assert process.returncode in expected and "Traceback" not in said, f"{fault}: {process.returncode}\n{said}"
    return process.returncode != 0 or (stopped and fault.whom == STOPPED)


def report(folder: Path, fault: Fault) -> bool:
    """Gather and build the twins, killed at the fault's moment; then again, which must give the same bytes."""
    whole, out = folder / "report", folder / "killed report"
    verb = "gather" if ".csv" in fault.moment else "build"
    for place in (whole, out):
        if verb == "build" or not (whole / "runs.csv").exists():
            run("reports", "gather", f"--runs={folder / 'twins'}", f"--out={place}")
    arguments = ["reports", verb, f"--out={out}", *([f"--runs={folder / 'twins'}"] if verb == "gather" else [])]
    process = start("tests.signalled", fault.signum, fault.moment, *arguments)
    process.communicate(timeout=PATIENCE)
    for place in (whole, out):
        run("reports", "gather", f"--runs={folder / 'twins'}", f"--out={place}")
        run("reports", "build", f"--out={place}")
    files = [{p.relative_to(o): p.read_bytes() for p in o.rglob("*") if p.is_file()} for o in (whole, out)]
    assert files[0] == files[1], f"{fault}: {set(files[0].items()) ^ set(files[1].items())}"
    return process.returncode != 0


def compare(record: Record, twin: Record) -> None:
    """Make sure that a run is its twin, and that nothing is left behind."""
    assert_equal_records(record, twin)
    kept = {"last.ckpt", "digests.json", "spec.json", "provenance.json", "metrics.jsonl", "summary.json", ".lock"}
    left = {path.name for path in record.folder.rglob("*") if path.is_file()} - kept
    assert left == {f"{name}.json" for name in MEASUREMENTS}, f"{record.folder}: {left}"
    running = subprocess.run(["pgrep", "-f", f"runs={record.folder.parent}"], capture_output=True, text=True).stdout
    assert not running, f"processes are left: {running}"


def training(runs: Path, spec: Spec, devices: int) -> list[str]:
    return ["study", "train", *spec.flags, f"--devices={devices}", f"--runs={runs}", "--wandb=disabled"]


def train(runs: Path, spec: Spec, devices: int) -> None:
    run(*training(runs, spec, devices))


def run(*arguments: str) -> None:
    process = start(*arguments)
    said = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0, f"{arguments}: {process.returncode}\n{said}"


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments], env=os.environ | ENVIRONMENT, cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def say(message: str) -> None:
    if sys.stderr.isatty():
        print(message, file=sys.stderr)


def main() -> None:
    """Soak, and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seed", type=int, default=None, help="of the schedule (default: the time)")
    options = parser.parse_args()
    seed = int(time.time()) if options.seed is None else options.seed
    print(f"{options.faults} faults, --seed={seed}", flush=True)
    with TemporaryDirectory() as folder:
        for what, count in sorted(soak(Path(folder), seed, options.faults).items()):
            print(f"{count:4d} {what}")
    print("   0 runs or reports that ended otherwise")


if __name__ == "__main__":
    main()
