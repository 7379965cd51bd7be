"""What we found, in a few sentences from a file beside the snapshot, each tied to the verdicts that it rests on.

    [[found]]
    says = "With an eighth of the steps plain-56 has {C06[cifar10-eighth].effect:.1f} points more training error."
    holds = { "C06[cifar10-eighth]" = "agrees" }

A field in braces names a claim, a comparison and an attribute of the finding, so no number is typed. `holds` gives for
each claim the verdict, or the direction of a scaled-down one. A sentence whose verdicts have changed is not printed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reports.judging.claim import Finding
from reports.judging.comparison import Comparison
from reports.page.answer import Findings
from study.spec import InputError

FILE = "found.toml"
NAME = re.compile(r"(C\d+b?)\[([\w-]+)\]")
ByClaim = Mapping[str, Mapping[str, Finding]]  # claim, then the comparison's slug


@dataclass(frozen=True)
class Found:
    """The sentences that hold, and those that no longer do, each with what has changed."""

    sentences: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()


def read_found(path: Path, judged: Mapping[Comparison, Findings], tested: Mapping[str, Finding]) -> Found:
    """Read the sentences and hold each against the findings; no file, no sentences.

    Args:
        path: The file.
        judged: The findings of each comparison.
        tested: What public networks say, which sentences name as ``C06[public]``.

    Raises:
        InputError: the file is not readable, or names a claim, a comparison or an attribute that there is not.
    """
    if not path.exists():
        return Found()
    findings = _by_claim(judged, tested)
    try:
        entries = tomllib.loads(path.read_text())["found"]
        changes = [(entry["says"], _changes(entry["holds"], findings)) for entry in entries]
        return Found(
            tuple(says.format_map(findings) for says, changed in changes if not changed),
            tuple(f"{says!r}: {changed}" for says, changed in changes if changed),
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path} has a sentence that cannot be filled in ({type(error).__name__}: {error})") from error


def _by_claim(judged: Mapping[Comparison, Findings], tested: Mapping[str, Finding]) -> ByClaim:
    named: dict[str, dict[str, Finding]] = {}
    for comparison, found in judged.items():
        for claim, finding in found:
            named.setdefault(claim.id, {})[comparison.slug] = finding
    for claim_id, finding in tested.items():
        named.setdefault(claim_id, {})["public"] = finding
    return named


def _changes(holds: Mapping[str, str], findings: ByClaim) -> str:
    """What no longer holds, in words; empty where all does."""
    now = {name: _outcome(findings, name) for name in holds}
    return ", ".join(f"{name} is {now[name]!r}, not {then!r}" for name, then in holds.items() if now[name] != then)


def _outcome(findings: ByClaim, name: str) -> str:
    """The direction of a scaled-down finding, else its verdict; missing where there is no such finding any more."""
    match = NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name} is no claim of a comparison, such as C06[cifar10-eighth]")
    finding = findings.get(match[1], {}).get(match[2])
    if finding is None:
        return "missing"
    return finding.direction if finding.verdict == "toy" else finding.verdict
