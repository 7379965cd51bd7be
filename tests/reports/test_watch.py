"""The live report: what is read again, what is written and how, what is served, and what a browser then shows."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from playwright.sync_api import sync_playwright

from reports.__main__ import run as reports
from reports.gathering import snapshot
from reports.gathering.follow import Records, changes
from reports.gathering.gather import gather
from reports.page.serve import PAGE, serve
from reports.page.watch import put, refresh
from study.recording.files import write_json
from study.recording.record import Record
from study.spec import Spec
from tests.records import ENDED, write_run
from tests.support import Start, refusal, wait_for

SPECS = [Spec("digits", depth, shortcut, "smoke", 0) for shortcut in ("none", "A") for depth in (8, 14)]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Four finished runs."""
    for spec in SPECS:
        write_run(tmp_path / "runs", spec, 1.0, 2.0)
    return tmp_path / "runs"


def begin(runs: Path, spec: Spec) -> tuple[Record, list[str]]:
    """A run that has one evaluation so far, and the lines of the others."""
    record = write_run(runs, spec, 1.0, 2.0)
    for name in ("summary", "responses"):
        (record.folder / f"{name}.json").unlink()
    first, *rest = (record.folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (record.folder / "metrics.jsonl").write_text(first)
    return record, rest


def append(record: Record, line: str) -> None:
    with (record.folder / "metrics.jsonl").open("a") as file:
        file.write(line)


@pytest.fixture
def following(runs: Path) -> Iterator[list[set[str]]]:
    """What `changes` yields while the test runs."""
    found: list[set[str]] = []
    ended = Event()
    thread = Thread(target=collect, args=(found, runs, ended))
    thread.start()
    yield found
    ended.set()
    thread.join(10)
    assert not thread.is_alive(), "it ends when it is told"


def collect(found: list[set[str]], runs: Path, ended: Event) -> None:
    for names in changes(runs, ended):
        found.append(names)  # noqa: PERF402 - seen while it grows


def test_one_new_row_reads_one_record_again(runs: Path, following: list[set[str]]) -> None:
    wait_for(lambda: len(following) == 1)
    assert following[0] == {spec.name for spec in SPECS}
    records = Records(runs)
    records.read(following[0])
    record, rest = begin(runs, Spec("digits", 8, "A", "smoke", 1))
    wait_for(lambda: record.spec.name in set().union(*following[1:]))
    seen = len(following)
    (runs / "wandb").mkdir()
    (runs / "wandb" / "metrics.jsonl").write_text("the client's")
    (record.checkpoint.parent / "last.ckpt").write_bytes(b"weights")
    append(record, rest[0])
    wait_for(lambda: len(following) > seen)
    assert set().union(*following[seen:]) == {record.spec.name}, "neither the W&B client nor a checkpoint is a change"

    records.read(following[-1])
    whole = gather(runs)
    assert records.snapshot().history.equals(whole.history) and records.snapshot().runs.equals(whole.runs)
    (runs / SPECS[0].name / "metrics.jsonl").write_text("no JSON\n\n")  # whoever read it again would see that
    records.read({record.spec.name})
    assert records.snapshot().history.equals(whole.history)
    records.read({SPECS[0].name})
    assert SPECS[0].name not in set(records.snapshot().history["run"])


def test_a_run_that_is_taken_away_is_forgotten(runs: Path, following: list[set[str]]) -> None:
    wait_for(lambda: len(following) == 1)
    records = Records(runs)
    records.read(following[0])
    shutil.rmtree(runs / SPECS[0].name)
    wait_for(lambda: SPECS[0].name in set().union(*following[1:]) and not (runs / SPECS[0].name).exists())
    records.read({SPECS[0].name})
    assert set(records.snapshot().runs["run"]) == {spec.name for spec in SPECS[1:]}


def test_new_evaluations_alone_leave_the_rest_of_the_report_as_a_whole_build_has_it(runs: Path, tmp_path: Path) -> None:
    record, rest = begin(runs, Spec("digits", 8, "A", "smoke", 1))
    before = put(gather(runs), tmp_path, is_drawn=False)
    append(record, rest[0])
    put(gather(runs), tmp_path, is_drawn=False)
    whole = (tmp_path / PAGE).read_text()
    again = put(gather(runs), tmp_path, is_drawn=False, before=before)
    assert again.answers is before.answers and (tmp_path / PAGE).read_text() == whole
    write_json(record.folder / "summary.json", {**json.loads(rest[-1]), **ENDED})
    (record.folder / "metrics.jsonl").write_text(rest[-1])
    assert refresh(again, gather(runs)) is None, "a run has finished"


def get(address: str, path: str) -> tuple[int, str]:
    """What the server answers to a path as it is, which a client would first tidy up."""
    host, port = re.fullmatch(r"http://(.+):(\d+)/", address).groups()  # type: ignore[union-attr]
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_only_the_files_of_the_folder_are_served(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "tables").mkdir(parents=True)
    (folder / PAGE).write_text("<p>the report")
    (folder / "tables" / "table6.csv").write_text("network")
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    with serve(folder) as address:
        assert address.startswith("http://127.0.0.1:")
        for path in ("/", f"/{PAGE}", "/?x=1"):
            status, text = get(address, path)
            assert status == 200 and text.startswith("<p>the report") and "EventSource" in text
        assert get(address, "/tables/table6.csv") == (200, "network")
        outside = (
            "/../secret",
            "/%2e%2e/secret",
            "/tables/../../secret",
            "/..%2fsecret",
            f"/{tmp_path}/secret",
            "/link",
        )
        for path in (*outside, "/tables", "/tables/", "/nothing"):
            status, text = get(address, path)
            assert status == 404 and "secret\n" not in text and "table6" not in text, path
        assert (folder / PAGE).read_text() == "<p>the report", "the script is not in the file"


def test_inputs_that_it_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = refusal(reports, "watch", f"--runs={tmp_path}", f"--out={tmp_path / 'file' / 'out'}")
    assert "cannot be written" in said and "--out" in said
    with serve(tmp_path) as address:
        port = address.rstrip("/").rsplit(":", 1)[1]
        said = refusal(reports, "watch", f"--runs={tmp_path}", f"--out={tmp_path / 'out'}", f"--port={port}")
    assert f"port {port} cannot be used" in said
    said = refusal(reports, "watch", f"--runs={tmp_path}", f"--out={tmp_path / 'out'}", "--", "no-such-program")
    assert "no-such-program cannot be started" in said


@pytest.mark.browser
def test_an_open_page_grows_with_the_record_and_keeps_its_place(start: Start, tmp_path: Path) -> None:
    """The folder of runs comes after the watch."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine: install Debian's package chromium")
    runs, out = tmp_path / "runs", tmp_path / "out"
    watch = start("reports", "watch", f"--runs={runs}", f"--out={out}")
    address = next(word for word in line(watch).split() if word.startswith("http")).rstrip(";")
    assert line(watch) == f"Runs folder {runs} does not exist yet; waiting for it\n"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page()
        page.goto(f"{address}#fig6?protocol=digits-smoke")
        assert "No run has been recorded yet" in page.content()
        record, rest = begin(runs, SPECS[0])
        page.get_by_text("running at step").or_(page.get_by_text("interrupted at step")).first.wait_for(
            state="attached"
        )
        page.evaluate("scrollTo(0, 300)")
        step = json.loads(rest[0])["step"]
        append(record, rest[0])
        page.get_by_text(f"at step {step} of").first.wait_for(state="attached")
        assert page.evaluate("scrollY") == 300 and "#fig6" in page.url
        data = json.loads(page.locator("#data").inner_text())
        (run,) = data["runs"]
        assert run["run"] == SPECS[0].name and len(run["test"]) == 2, "the curve of a run that is still trained"
        chromium.close()
    assert "EventSource" not in (out / PAGE).read_text() and not list((out / "figures").glob("*"))


@pytest.mark.slow
def test_ctrl_c_ends_with_the_whole_report(start: Start, runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    watch = start("reports", "watch", f"--runs={runs}", f"--out={out}")
    assert line(watch).startswith("The report grows at http://127.0.0.1:")
    wait_for((out / PAGE).exists)
    os.killpg(watch.pid, signal.SIGINT)
    said, _ = watch.communicate(timeout=120)
    assert watch.returncode == 0 and said == f"Drawing the figures; read {out / PAGE}\n"
    assert list((out / "figures").glob("*.svg"))
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]
    assert snapshot.read(out).runs["run"].tolist() == gather(runs).runs["run"].tolist()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.process
def test_it_ends_with_the_command_that_it_runs_beside(start: Start, tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(3)", "--devices", "2", "--", "x")
    watch = start("reports", "watch", f"--runs={tmp_path / 'runs'}", f"--out={tmp_path / 'out'}", "--", *command)
    said, _ = watch.communicate(timeout=60)
    assert watch.returncode == 3 and "['--devices', '2', '--', 'x']" in said, said


@pytest.mark.process
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_too(start: Start, tmp_path: Path, how: signal.Signals) -> None:
    command = (sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(300)")
    watch = start("reports", "watch", f"--runs={tmp_path / 'runs'}", f"--out={tmp_path / 'out'}", "--", *command)
    while "ready" not in line(watch):
        pass
    if how == signal.SIGINT:
        os.killpg(watch.pid, how)  # as a terminal does
    else:
        watch.send_signal(how)  # as `make` does, to the process that it started
    watch.communicate(timeout=60)
    assert watch.returncode == 128 + how
    with pytest.raises(ProcessLookupError):
        os.killpg(watch.pid, 0)
