"""The command line: ``python -m reports gather | build | watch | publish | power``. Needs no torch."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from study.commands.flags import Parser, add_version, entry, list_verbs
from study.spec import InputError


def parser() -> Parser:
    """All verbs and flags."""
    top = Parser(prog="reports", description="Gather runs and build the comparison with the paper.")
    add_version(top)
    verbs = top.add_subparsers(dest="verb", metavar="VERB")
    gather = verbs.add_parser("gather", help="read run records into a snapshot")
    gather.add_argument("--runs", type=Path, help="folder of the run records (default: runs; with --wandb: none)")
    gather.add_argument("--wandb", metavar="ENTITY/PROJECT", help="also read the runs of a W&B project")
    gather.add_argument("--public", type=Path, help="add the public networks that `study test --out` measured")
    gather.add_argument("--out", type=Path, required=True, help="folder that the snapshot is written to")
    gather.add_argument("--add", action="store_true", help="keep the runs of the snapshot that is there, and add these")
    build = verbs.add_parser("build", help="write the report from a snapshot alone")
    build.add_argument("--out", type=Path, required=True, help="folder of the snapshot, and of the report")
    build.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit with 1 if the report differs from what the snapshot gives",
    )
    build.add_argument(
        "--readme",
        type=Path,
        help="also write the answers, the first figure and Table 6 between the marks of this file",
    )
    watch = verbs.add_parser("watch", help="rebuild the report as records grow, and serve it on this machine")
    watch.add_argument("--runs", type=Path, help="folder of the run records (default: runs)")
    watch.add_argument("--out", type=Path, required=True, help="folder of the snapshot, and of the report")
    watch.add_argument("--port", type=int, default=0, help="of the page, on 127.0.0.1 (default: a free one)")
    watch.add_argument("command", nargs="*", metavar="-- COMMAND", help="run this meanwhile, and end with it")
    publish = verbs.add_parser("publish", help="post the report and a workspace of live panels to W&B")
    publish.add_argument("--out", type=Path, required=True, help="folder of the report")
    publish.add_argument("--wandb", metavar="ENTITY/PROJECT", required=True, help="where the runs are")
    power = verbs.add_parser("power", help="simulate how often the verdicts decide, and write the page on it")
    power.add_argument("--draws", type=int, default=200, help="synthetic studies of each claim, size and world")
    power.add_argument("--seed", type=int, default=0, help="of the draws")
    power.add_argument("--out", type=Path, required=True, help="the page, as docs/power.md")
    return top


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status. Without a verb, list the verbs."""
    top = parser()
    options = top.read(arguments)
    if options.verb is None:
        return list_verbs(top)
    verbs = {"gather": _gather, "build": _build, "watch": _watch, "publish": _publish, "power": _power}
    return verbs[options.verb](options)


def _gather(options: argparse.Namespace) -> int:
    if options.public:
        _gather_public(options.public, options.out)
    return 0 if options.public and not (options.runs or options.wandb) else _gather_runs(options)


def _gather_public(records: Path, out: Path) -> None:
    """Add public networks to those of the snapshot; its runs stay as they are."""
    from reports.gathering import public
    from reports.gathering.public_records import read_records

    joined, replaced = public.join(public.read_public(out / public.FOLDER), read_records(records))
    public.write_public(joined, out / public.FOLDER)
    print(f"public networks: {public.count(joined)}, in {out / public.FOLDER}")
    for line in replaced:
        print(f"  {line}")


def _gather_runs(options: argparse.Namespace) -> int:
    from reports.gathering import snapshot
    from reports.gathering.add import add
    from reports.gathering.gather import gather

    runs = options.runs or (None if options.wandb else _default_runs())
    gathered = gather(runs, options.wandb)
    if options.add:
        gathered, differing = add(snapshot.read(options.out), gathered)
        for line in differing:
            print(line)
    snapshot.write(gathered, options.out)
    print(f"{len(gathered.counting)} of {len(gathered.runs)} runs count; the snapshot is in {options.out}")
    for row in gathered.excluded.to_dict("records"):
        print(f"  {row['run']} does not count: {row['reason']}")
    return 0


def _default_runs() -> Path:
    return Path(os.environ.get("STUDY_RUNS", "runs"))


def _build(options: argparse.Namespace) -> int:
    from reports.gathering import snapshot
    from reports.page import readme, render
    from reports.page.found import FILE
    from reports.page.sections import report

    out = options.out
    whole = report(snapshot.read(out), out)
    for line in whole.found.outdated:
        print(f"{out / FILE} has a sentence that no longer holds and is left out: {line}")
    if options.check:
        stale = [*render.check(whole, out), *[FILE] * bool(whole.found.outdated)]
        for name in stale:
            print(f"{out / name} differs from what its snapshot gives; run: python -m reports build --out={out}")
        return 1 if stale else 0
    files = render.build(whole, out)
    print(f"{len(files)} files written; read {out / 'report.html'} or {out / 'REPORT.md'}")
    if options.readme:
        readme.headline(whole, out, options.readme)
    return 0


def _watch(options: argparse.Namespace) -> int:
    from reports.page.watch import watch

    return watch(options.runs or _default_runs(), options.out, options.port, options.command)


def _publish(options: argparse.Namespace) -> int:
    from reports.publish.publish import publish

    for kind, address in publish(options.out, options.wandb).items():
        print(f"{kind}: {address}")
    return 0


def _power(options: argparse.Namespace) -> int:
    from reports.page import power

    if options.draws < 1:
        raise InputError(f"--draws is {options.draws}; it must be at least 1")
    power.write(options.out, options.draws, options.seed)
    print(f"{options.out} written")
    return 0


def main() -> int:
    """The entry point."""
    return entry("reports", run)


if __name__ == "__main__":
    sys.exit(main())
