"""The tables of a check's report, each as lines of Markdown; none where nothing was measured. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from study.bench.gpu_check.candidates import Candidate
from study.bench.gpu_check.rules import DATA_SETS, MARGINS
from study.bench.gpu_check.scale import Scale
from study.bench.gpu_check.state import Result, State
from study.recording.evaluation import TEST_ERROR, TRAIN_ERROR

PAPER_STEPS = 64_000


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A Markdown table and an empty line; nothing without rows."""
    found = [[_shown(value) for value in row] for row in rows]
    if found:
        for line in (head, ["---"] * len(head), *found):
            yield f"| {' | '.join(line)} |"
        yield ""


def _shown(value: object) -> str:
    if value is None:
        return "–"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def stages(part: int, state: State) -> Iterator[str]:
    """Every stage of a part with its status."""
    rows = [
        (each.stage, each.status, f"{each.seconds:.0f}", each.why or each.find("tests").get("report", ""))
        for each in state.latest.values()
        if each.part == part
    ]
    yield from table(("stage", "result", "seconds", "what it says"), rows)


def device_name(state: State) -> str:
    """The device of the last call."""
    result = state.latest.get("versions")
    return str(result.find("device").get("name")) if result else "not looked at yet"


def device(state: State) -> Iterator[str]:
    """Device, driver, versions and batch norm of every call; several lines if they changed."""
    seen: dict[str, str] = {}
    for result in state.results:
        if result.stage == "versions":
            lines = [_values(line) for line in result.lines]
            seen.setdefault("\n".join(f"- {line}" for line in lines), result.ended)
    for text, ended in seen.items():
        yield from (f"Seen first at {ended}:", "", text, "")
    if len(seen) > 1:
        yield from ("**The calls ran on different machines or versions: do not compare their times.**", "")


def _values(line: dict[str, object]) -> str:
    kind = str(line["what"]).replace("_", " ")
    return f"{kind}: " + ", ".join(f"{key} {_shown(value)}" for key, value in line.items() if key != "what")


def losses(state: State) -> Iterator[str]:
    """The losses of each way to take a step beside the CPU's: at the first, the fifth and the last step."""
    rows = []
    for name, result in state.latest.items():
        found, reference = result.find("losses"), _reference(state, name)
        if name.startswith("losses-") and found and reference:
            ours, theirs = found["losses"], reference["losses"]
            last = (len(ours), float(ours[-1]), float(theirs[-1]))
            rows.append((found["dataset"], found["step_path"], *last, *_most(ours, theirs), result.status))
    upto = [f"off by, to step {step}" for step, _ in MARGINS[:-1]]
    head = ("data set", "step", "steps", "last loss", "on the CPU", *upto, "off by, to the last", "result")
    if lines := list(table(head, rows)):
        allowed = ", ".join(f"{most:g} to step {step}" for step, most in MARGINS[:-1])
        text = f"Losses in true fp32, without TF32, at a small rate. Allowed: {allowed}, {MARGINS[-1][1]:g} after it."
        yield from (text, "", *lines)


def _most(ours: Sequence[float], theirs: Sequence[float]) -> list[str]:
    """The largest difference up to the last step of each margin."""
    return [f"{max(abs(a - b) for a, b in zip(ours[:last], theirs[:last], strict=False)):.1e}" for last, _ in MARGINS]


def _reference(state: State, name: str) -> dict[str, list[float]]:
    dataset = name.split("-")[1] if "-" in name else ""
    result = state.latest.get(f"reference-{dataset}")
    return result.find("losses") if result else {}


def step_times(scale: Scale, state: State) -> Iterator[str]:
    """The time of a step by depth and way, and how it compares with the plain step in the same precision."""
    rows: list[Sequence[object]] = []
    for data in DATA_SETS:
        for turn in scale.timed:
            found = {way: _step(state, data, turn.depth, way) for way in scale.candidates}
            rows += [_step_row(data, turn.depth, way, found, state) for way, ms in found.items() if ms]
    head = (
        "data set",
        "layers",
        "way",
        "ms a step",
        "images/s",
        "times as fast as plain",
        "64,000 steps, minutes",
        "peak MB",
    )
    yield from table(head, rows)


def _step(state: State, data: str, depth: int, way: Candidate) -> float | None:
    result = state.latest.get(f"step-{data}-{depth}-{way.name}")
    ms = result.find("step").get("ms_per_step") if result else None
    return float(ms) if ms else None


def _step_row(
    data: str, depth: int, way: Candidate, found: Mapping[Candidate, float | None], state: State
) -> Sequence[object]:
    result = state.latest[f"step-{data}-{depth}-{way.name}"]
    ms, plain = found[way] or 0.0, found.get(Candidate("plain", way.precision))
    speed, peak = result.find("step").get("images_per_second"), result.find("memory").get("peak_mb")
    return data, depth, way.name, ms, speed, plain / ms if plain else None, PAPER_STEPS * ms / 60e3, peak


def profile(state: State) -> Iterator[str]:
    """What takes the time of a captured step, if that was looked at."""
    lines = state.latest["profile"].lines if "profile" in state.latest else ()
    rows = [(f"`{line['name']}`", line["calls"], line["ms"]) for line in lines if line["what"] == "operation"]
    yield from table(("operation or kernel", "calls a step", "ms a step"), rows)


def jobs(state: State) -> Iterator[str]:
    """Images per second by the number of runs at a time."""
    result = state.latest.get("jobs")
    lines = [line for line in result.lines if line["what"] == "jobs"] if result else []
    rows = [(line["jobs"], line.get("way"), line["images_per_second"], line.get("peak_mb")) for line in lines]
    yield from table(("runs at a time", "way", "images/s of all", "peak MB"), rows)


def cells(state: State) -> Iterator[str]:
    """The cells that were begun, with their errors in percent."""
    rows = [_cell(result) for name, result in state.latest.items() if name.startswith("cell-") and result.find("run")]
    head = ("cell", "result", "step", "of", "test error %", "training error %", "images/s", "minutes", "way")
    yield from table(head, rows)


def _cell(result: Result) -> Sequence[object]:
    run = result.find("run")
    hours = run.get("hours")
    way = f"{run.get('step_path')}-{run.get('precision')}"
    errors = (run.get(TEST_ERROR), run.get(TRAIN_ERROR), run.get("images_per_second"))
    return run["cell"], result.status, run["step"], run["steps"], *errors, 60 * hours if hours else None, way
