from __future__ import annotations

import pytest

from study.recording.bench_lines import Measured, read, say
from study.spec import InputError


def bench_output(**lines: dict[str, float]) -> None:
    for what, values in lines.items():
        say(what, cell="digits-8-A-mini-s0", **values)


FULL = {
    "step": {"ms_per_step": 12.34567, "images_per_second": 5184.0},
    "evaluation": {"whole_test_set_seconds": 0.5},
    "memory": {"peak_mb": 700.0},
}


def test_what_is_said_is_read_to_four_figures(capsys: pytest.CaptureFixture[str]) -> None:
    bench_output(**FULL)
    text = capsys.readouterr().out
    assert Measured.read(text) == Measured(ms_per_step=12.35, evaluation_seconds=0.5, peak_mb=700.0)
    assert next(read(text)) == {
        "what": "step",
        "cell": "digits-8-A-mini-s0",
        "ms_per_step": 12.35,
        "images_per_second": 5184.0,
    }


@pytest.mark.parametrize("notice", ["a library's notice", "{not JSON}", "[1, 2]", "3", "{}", ""])
def test_other_lines_on_standard_output_are_skipped(notice: str, capsys: pytest.CaptureFixture[str]) -> None:
    bench_output(**FULL)
    lines = capsys.readouterr().out.splitlines()
    text = "\n".join([notice, lines[0], notice, *lines[1:], notice])
    assert Measured.read(text) == Measured(12.35, 0.5, 700.0)


@pytest.mark.parametrize("missing", list(FULL))
def test_a_line_that_is_missing_is_named(missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    bench_output(**{what: values for what, values in FULL.items() if what != missing})
    with pytest.raises(InputError, match=f"the bench printed no '{missing}'"):
        Measured.read(capsys.readouterr().out)
