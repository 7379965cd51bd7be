"""The loop of a check: run the next stage that fits into the time left, keep its result, write the report.

A stage is a process of its own, so that its crash, its hang or a broken CUDA context ends with it.
"""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from study.bench.gpu_check import child, rules
from study.bench.gpu_check.judge import judge, measured
from study.bench.gpu_check.report import REPORT, report, summary
from study.bench.gpu_check.stages import ROOT, Setup, Stage, argv, plan
from study.bench.gpu_check.state import FINAL, Result, State, write
from study.recording.bench_lines import read
from study.recording.files import now
from study.spec import InputError
from study.sweeps.local import interrupt

MARGIN = 60.0  # seconds before the end of a call in which nothing runs: for the last checkpoint and for carrying away
LARGEST_MARGIN = 0.2  # of a call


class Call:
    """One call of a check.

    Args:
        setup: Where it works and what it measures.
        seconds: How long it may take.
        retries: Whether stages that failed are run again.
    """

    def __init__(self, setup: Setup, seconds: float, retries: bool) -> None:
        self.setup, self.retries = setup, retries
        self.state = State(setup.out)
        self.end = time.monotonic() + seconds - min(MARGIN, LARGEST_MARGIN * seconds)
        self.tried: set[str] = set()
        if any(result.is_rehearsal != setup.scale.is_rehearsal for result in self.state.results):
            kind = "a check on a GPU" if setup.scale.is_rehearsal else "a rehearsal"
            raise InputError(f"{setup.out} holds the results of {kind}; give another folder with --out=DIR")

    def run(self) -> None:
        """Run stages until none is left or the time is up; the report is written after each.

        Raises:
            OSError: The folder cannot be written any more.
            KeyboardInterrupt: A signal has stopped the stage that ran.
        """
        self.write_report()
        while stage := next(self.waiting(), None) or self.next_turn():
            self.tried.add(stage.name)
            say(f"{stage.part}  {stage.name:32} ", end="")
            result = self._result(stage)
            say(f"{result.status:11} {result.seconds:6.0f} s  {result.why[:120]}")
            self.state.add(result)
            self.write_report()

    def waiting(self) -> Iterator[Stage]:
        """The stages that can run now, in order."""
        for stage in plan(self.setup, self.state):
            is_done = self._is_done(stage)
            if not is_done and not self.obstacle(stage) and self.seconds_for(stage) >= stage.least:
                yield stage

    def next_turn(self) -> Stage | None:
        """The first cell that had its turn in this call and was not finished, once nothing else is waiting."""
        unfinished = {name for name in self.tried if self.state.latest[name].status == "unfinished"}
        self.tried -= {
            stage.name for stage in plan(self.setup, self.state) if stage.goes_on and stage.name in unfinished
        }
        return next(self.waiting(), None)

    def _is_done(self, stage: Stage) -> bool:
        result = self.state.latest.get(stage.name)
        is_final = result is not None and result.status in FINAL and not stage.is_repeated
        return stage.name in self.tried or (is_final and not self._is_retried(result))

    def _is_retried(self, result: Result | None) -> bool:
        """Whether this call still has to run a stage again that failed or was refused."""
        return self.retries and result is not None and result.status != "passed" and result.stage not in self.tried

    def obstacle(self, stage: Stage) -> str:
        """Why a stage cannot run whatever the time; "" if it can."""
        missing = [name for name in stage.needs if not self.state.passed(name)]
        if missing:
            return f"needs {', '.join(missing)}"
        return rules.why_no_cells(self.state, self.setup.scale) if stage.part == 4 else ""

    def seconds_for(self, stage: Stage) -> float:
        """How long a stage may run: its own limit, what is left for its part, and what is left of the call."""
        left = self.end - time.monotonic()
        return min(self.limit(stage), self.left_of_part(stage), left)

    def limit(self, stage: Stage) -> float:
        """How long a stage may take at most."""
        return stage.limit * self.setup.scale.slack

    def left_of_part(self, stage: Stage) -> float:
        """Seconds that are left for a part, over all calls; what is run again gives its time back."""
        of_part = [each for each in self.state.latest.values() if each.part == stage.part]
        used = sum(each.seconds for each in of_part if not self._is_retried(each))
        return self.setup.scale.parts.get(stage.part, float("inf")) - used

    def write_report(self) -> None:
        """Write what is known by now."""
        write(self.setup.out / REPORT, report(self.setup.scale, self.setup.out, self.state, self.obstacles()))

    def obstacles(self) -> dict[str, str]:
        """Why each stage that has no result is waiting, in order."""
        found = {}
        for stage in plan(self.setup, self.state):
            if stage.name not in self.state.latest:
                found[stage.name] = self.obstacle(stage) or self._lack_of_time(stage)
        return found

    def _lack_of_time(self, stage: Stage) -> str:
        if self.left_of_part(stage) < stage.least:
            return f"part {stage.part} has used its {self.setup.scale.parts[stage.part] / 60:.0f} minutes"
        return "for another call"

    def _result(self, stage: Stage) -> Result:
        """Run a stage and judge how it ended."""
        limit = self.seconds_for(stage)
        files = self.setup.out / "logs" / stage.name
        files.parent.mkdir(exist_ok=True)
        ended = child.run(argv(stage), files, limit, self._environment(stage))
        lines = (*read(ended.output), *measured(stage, ended.output))
        status, why = judge(self.setup.scale, stage, ended, lines, self.state, is_cut=limit < self.limit(stage))
        words = ended.words if status in ("failed", "refused") else ()
        command = shlex.join(["python", *stage.command])
        is_rehearsal = self.setup.scale.is_rehearsal
        return Result(stage.name, stage.part, status, ended.seconds, lines, why, words, command, now(), is_rehearsal)

    def _environment(self, stage: Stage) -> dict[str, str]:
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if stage.hides_gpu or self.setup.scale.is_rehearsal else {}
        return {**os.environ, "PYTHONPATH": _python_path(), **hidden}


def check(setup: Setup, minutes: float, retries: bool) -> int:
    """Run the stages that have no result yet, for so many minutes; return the exit status.

    Args:
        setup: Where it works and what it measures.
        minutes: How long this call may take, its last minute included.
        retries: Whether stages that failed are run again.

    Returns:
        0 if all stages that ran have passed, in this call and before; 1 if one failed; 128 + signal if interrupted.

    Raises:
        InputError: The folder cannot be written, or another check works in it.
    """
    with _claimed(setup.out):
        try:
            call = Call(setup, 60 * minutes, retries)
            status = _until_interrupted(call)
            say(summary(setup.scale, call.state, setup.out / REPORT))
        except OSError as error:
            raise InputError(
                f"{setup.out} cannot be written ({error.strerror}); what is there is whole: make room, then run the "
                "same command again, or give another --out=DIR"
            ) from None
    return status or int(any(result.status == "failed" for result in call.state.latest.values()))


def _until_interrupted(call: Call) -> int:
    """Run a call; return 0, or 128 + signal if it was interrupted."""
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, interrupt)
    try:
        call.run()
    except KeyboardInterrupt as stop:
        say("interrupted; run the same command again to go on")
        call.write_report()
        return 128 + int(stop.args[0] if stop.args else signal.SIGINT)
    return 0


def say(text: str, end: str = "\n") -> None:
    """Print at once; a check goes on if nobody reads it any more, as when a connection is lost."""
    with suppress(BrokenPipeError):
        print(text, end=end, flush=True)


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    """Make the folder and keep other checks out of it.

    Raises:
        InputError: It cannot be made or written, or another check works in it.
    """
    lock = FileLock(out / ".lock")
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"another check works in {out}; wait for it, or give another folder with --out=DIR") from None
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); give another folder with --out=DIR") from None
    try:
        yield
    finally:
        lock.release()


def _python_path() -> str:
    """The variable by which a stage finds this study, wherever it runs."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
