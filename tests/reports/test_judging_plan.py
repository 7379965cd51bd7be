"""The plan of the verdicts: what it holds, and what it says of a file that is malformed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from reports.judging.claims import CLAIMS
from reports.judging.plan import FILE, plan
from study.spec import InputError
from tests.support import ROOT


def test_every_claim_has_an_entry_and_every_entry_a_claim() -> None:
    assert sorted(plan().claims) == sorted(claim.id for claim in CLAIMS)


def test_every_entry_can_be_judged_by_what_it_says() -> None:
    for planned in plan().claims.values():
        assert planned.test and planned.margins and planned.margin_reason and planned.contradicted, planned.id
        assert planned.sweeps or not planned.nets, planned.id
        assert all((ROOT / "sweeps" / f"{sweep}.yaml").exists() for sweep in planned.sweeps), planned.id
        tested = {"count"} != set(planned.test)
        resolution = plan().resolution[planned.dataset]
        metrics = [metric for metric in planned.metrics if metric not in ("train_share", "parameters")]
        assert not tested or all(metric in resolution for metric in metrics), planned.id


def test_the_digest_is_that_of_the_file() -> None:
    assert plan().digest == hashlib.sha256(FILE.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("alpha = 0.01", "", "claim C01 has no key 'alpha'; add it"),
        ("alpha = 0.01", 'alpha = "small"', "claim C01: key 'alpha' is 'small', but must be of type float"),
        ("alpha = 0.01", "alpha = 0.7", "claim C01: key 'alpha' is 0.7, but must lie between 0 and 0.5"),
        ("seeds = 5", "seeds = true", "claim C01: key 'seeds' is True, but must be of type int"),
        ('"plain-20"', '"plane-20"', "'plane-20' is not a network such as 'plain-56' or 'ResNet-34 B'"),
        ('test = ["trend"]', 'test = ["tea leaves"]', "claim C01: test 'tea leaves'"),
        ("margin = 0.0", "margin = []", "claim C01: key 'margin' is [], but must be a number or a list of numbers"),
        ('rank = "primary"', 'rank = "first"', "key 'rank' is 'first', but must be one of primary, secondary"),
        ("alpha = 0.01", "alpha = 0.01\nalfa = 0.01", "claim C01 has an unknown key 'alfa'; remove it or correct it"),
        ("written = 2026-11-25", "", "the file has no key 'written'; add it"),
        ("written = 2026-11-25", "written = ", "is not TOML"),
        ("[not_judged.C33]\nsays", "[not_judged.C33]\nsay", "C33 has no key 'says'; add it"),
    ],
)
def test_a_malformed_plan_is_refused_with_entry_and_key(before: str, after: str, says: str, tmp_path: Path) -> None:
    file, text = tmp_path / "plan.toml", FILE.read_text()
    head, claims = text.split("[claims.C01]")
    assert before in text
    if before in claims:
        file.write_text(f"{head}[claims.C01]{claims.replace(before, after, 1)}")
    else:
        file.write_text(text.replace(before, after, 1))
    with pytest.raises(InputError) as raised:
        plan(file)
    assert says in str(raised.value) and "\n" not in str(raised.value)


def test_a_plan_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        plan(tmp_path / "plan.toml")
