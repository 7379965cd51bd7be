"""Fuzz the readers of what others write: records and sweep files.

    pip install -e '.[fuzz]'
    python -m tests.faults.fuzz records --seconds=600
    python -m tests.faults.fuzz sweeps --seconds=600

Coverage guides what is tried (libFuzzer, by atheris), from sound files on. A record must be a run that `reports gather`
takes, or have a reason; a sweep file must be a grid, or be refused in one line. Anything else ends the fuzzing, and its
input is left in a file, whose name is printed. It becomes a test of test_records.py or test_hostile.py.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import atheris  # type: ignore[import-not-found, unused-ignore]

with atheris.instrument_imports(include=["study", "yaml", "json"]):
    from reports.gathering.gather import tabulate
    from study.recording.folders import divide, read_folder
    from study.spec import InputError, Spec
    from study.sweeps import grid
from tests.records import write_run
from tests.support import ROOT

SPEC = Spec("digits", 8, "A", "smoke")
FILES = ("metrics.jsonl", "summary.json", "provenance.json", "responses.json", "spec.json")


def records(folder: Path) -> tuple[Callable[[bytes], None], list[bytes]]:
    """What is done with an input, whose first byte chooses a file of a record, and sound inputs."""
    run = write_run(folder, SPEC).folder
    sound = {name: (run / name).read_bytes() for name in FILES}

    def read(content: bytes) -> None:
        name = FILES[content[0] % len(FILES)] if content else FILES[0]
        (run / name).write_bytes(content[1:])
        found = read_folder(run)
        assert not isinstance(found, str) or (found and "\n" not in found)
        tabulate(*divide({run.name: found}))
        (run / name).write_bytes(sound[name])

    return read, [bytes([i]) + sound[name] for i, name in enumerate(FILES)]


def sweeps(folder: Path) -> tuple[Callable[[bytes], None], list[bytes]]:
    """What is done with an input, the text of a sweep file, and sound inputs."""
    path = folder / "sweep.yaml"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        try:
            assert all(isinstance(cell, Spec) for cell in grid.cells(path))
        except InputError as error:
            assert "\n" not in str(error)

    return read, [file.read_bytes() for file in sorted((ROOT / "sweeps").glob("*.yaml"))]


def main() -> None:
    """Fuzz one of the readers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader", choices=["records", "sweeps"])
    parser.add_argument("--seconds", type=int, default=600)
    options = parser.parse_args()
    folder, corpus = Path(mkdtemp()), Path(mkdtemp())
    read, sound = {"records": records, "sweeps": sweeps}[options.reader](folder)
    for number, content in enumerate(sound):
        (corpus / str(number)).write_bytes(content)
    arguments = [sys.argv[0], str(corpus), f"-max_total_time={options.seconds}", "-timeout=20", "-max_len=100000"]
    atheris.Setup(arguments, read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
