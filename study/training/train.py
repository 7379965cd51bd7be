"""One run from start to end: check what is cheap to check, train or resume, and record how it ended."""

from __future__ import annotations

import logging
import sys
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

from study.data.datasets import dataset_info, load_dataset
from study.machine.device import check_devices, check_disk, configure_torch, has_cuda
from study.machine.options import MachineOptions, has_slice, is_first_rank, is_under_torchrun
from study.machine.parent import die_with_parent
from study.machine.resolve import resolve, step_mode
from study.recording.evaluation import Row, Summary, describe
from study.recording.files import now
from study.recording.provenance import provenance
from study.recording.record import DIVERGED, Record
from study.recording.run import changes
from study.recording.wandb import mirror as tracking
from study.recording.wandb.artifact import WriteWeights
from study.recording.wandb.client import new_id
from study.sweeps.about import about
from study.training.along import LayerSignals
from study.training.callbacks import Checkpoint, Clock, ProgressBar, Recorder
from study.training.checkpoints import Checkpoints, Start
from study.training.deepen import deepened
from study.training.failures import machine_errors
from study.training.module import TrainingModule
from study.training.ranks import RanksStrategy, rank_timeout
from study.training.results import Measure, Results
from study.training.signals import Interrupted, SignalStop, stopped_compiler

C = TypeVar("C", bound=Callback)


def quiet() -> None:
    """Silence Lightning's advertisements and its remarks on loaders, which here hold nothing but numbers of steps.

    For the whole process; the verbs call it.
    """
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*across ranks is zero.*")  # a run that is complete but for its summary
    warnings.filterwarnings("ignore", ".*isinstance\\(treespec, LeafSpec\\).*")
    warnings.filterwarnings("ignore", ".*`srun` command is available.*")  # a run in Slurm's batch shell needs none
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


def train(record: Record, machine: MachineOptions, step_choice: Row | None = None, parent: Path | None = None) -> int:
    """Train a cell, or resume its training.

    Args:
        record: The run of the cell, which the first rank has reserved.
        machine: Where and how it is trained.
        step_choice: How `--step=auto` was decided, for the provenance.
        parent: The run folder of the trained network from whose copy a new run starts, None for initial weights.

    Returns:
        The exit status: 0 when finished, here or by another process meanwhile; `DIVERGED` when the loss was no longer a
        number; 128 + signal when interrupted after a checkpoint.

    Raises:
        InputError: Something that the user can fix; nothing has been trained then.
        MachineError: The disk, the memory or another rank failed; the same command goes on from the last checkpoint.
    """
    if has_slice() or not is_first_rank():
        die_with_parent()
    spec = record.spec
    check_devices(machine.devices_here)
    info = dataset_info(spec.dataset)
    machine = resolve(machine, info.pixels, info.in_memory, record.provenance())
    mode = step_mode(machine, info.in_memory)
    configure_torch(machine.precision)
    module = TrainingModule(spec, load_dataset(spec, machine.data), mode, machine.checkpoint_every)
    copied = deepened(parent, spec.depth, machine.data) if parent else None
    if copied:
        module.net.load_state_dict(copied.net.state_dict())
    if is_first_rank():  # the others write nothing
        check_disk(record.folder, module.parameter_count)
        begun = provenance(spec, machine, mode, module.dataset.fingerprint, module.dataset.extent)
        chosen = {"step_choice": step_choice} if step_choice else {}
        origin = {"parent": copied.parent} if copied else {}
        if not record.open(begun | chosen | origin | {"wandb_id": new_id()}):
            return record.say_end()
    with machine_errors(record, machine):
        return _fit(module, record, machine)


def _fit(module: TrainingModule, record: Record, machine: MachineOptions) -> int:
    """Run the trainer to the end of the recipe, or until a signal."""
    checkpoints = Checkpoints(record)
    start = checkpoints.start(record)
    mirror = None
    if is_first_rank():
        _repair(record, start)
        mirror = tracking.mirror(record, machine.wandb, partial(about, record.spec))
    trainer, measure = build_trainer(record, machine, mirror, checkpoints), Measure()
    trainer.callbacks.append(measure)  # type: ignore[attr-defined]
    try:
        with stopped_compiler(_callback(trainer, SignalStop)):
            trainer.fit(module, ckpt_path=start.checkpoint, weights_only=True)
    except Interrupted as stop:
        if trainer.is_global_zero:
            _end_early(module, record, mirror, stop)
        return stop.status
    if measure.results is not None:
        summary = summarise(module, record, trainer, measure.results)
        record.finish(summary.row(), measure.results.measurements)
        checkpoints.remove_checkpoint(checkpoints.previous)
        return _end(module, summary, mirror, partial(_write_weights, record, machine), machine.artifact == "final")
    return DIVERGED if module.diverged else 0


def _repair(record: Record, start: Start) -> None:
    """Cut off what cannot be gone on from, and say and note what was found damaged."""
    record.keep(start.kept)
    record.faults += [f"{path.name} is not used, as {fault}" for path, fault in start.damaged.items()]
    if start.damaged:
        record.faults.append(f"training goes on from {start.checkpoint.name if start.checkpoint else 'step 0'}")
    for fault in record.faults:
        print(f"study: {record.folder.name}: {fault}", file=sys.stderr)
    if changed := changes(record.provenance()):
        other = "it may end with other weights than a run that was left alone"
        print(f"study: {record.folder.name}: its sessions differ in {changed}; {other}", file=sys.stderr)
    if record.faults:
        record.note(faults=[*record.provenance().get("faults", []), *record.faults])


def _end_early(module: TrainingModule, record: Record, mirror: tracking.Mirror | None, stop: Interrupted) -> None:
    """Say why a run was stopped, here and in W&B, which hands a run out again unless somebody stopped it there."""
    why = mirror.why_stopped() if mirror else ""
    again = "give the command again with --again" if why else "run the same command again"
    print(f"{module.spec.name}: {why or stop}; {again} to resume at step {module.step}", file=sys.stderr)
    if why:
        record.stop(why)
    if mirror:
        (mirror.stop if why else mirror.preempt)(stop.status)


def _end(
    module: TrainingModule, summary: Summary, mirror: tracking.Mirror | None, write: WriteWeights, is_exported: bool
) -> int:
    """Say how a run has ended, here and in W&B; returns the exit status."""
    name = module.spec.name
    if found := module.diverged:
        why = f"its loss is no longer a number at step {found['step']:,}, at a learning rate of {found['lr']:g}"
        print(f"study: {name} has diverged: {why}", file=sys.stderr)
        if mirror:
            mirror.diverge(why, DIVERGED)
        return DIVERGED
    failed = "; failed, as its warm-up did not end" if module.schedule.is_stuck(module.step) else ""
    print(f"{name}: {describe(summary.last)}{failed}")
    if mirror:
        mirror.finish(write if is_exported else None)
    return 0


def _write_weights(record: Record, machine: MachineOptions, out: Path) -> None:
    """Export the weights of a finished run, as ``study export`` does."""
    from study.weights.export import export

    export(record.folder, out, "safetensors", "float32", machine.data)


def build_trainer(
    record: Record, machine: MachineOptions, logger: Logger | None, checkpoints: Checkpoints | None = None
) -> pl.Trainer:
    """Build a Trainer that leaves sampler, progress bar, checkpoints and length to us.

    Args:
        record: Where the callbacks write.
        machine: Devices, ranks and precision.
        logger: W&B, None without it.
        checkpoints: How checkpoints are written and read; those of the record unless they are given.
    """
    cuda = has_cuda()
    ranks = RanksStrategy(process_group_backend="nccl" if cuda else "gloo", timeout=rank_timeout())
    # Without it Lightning takes a stray SLURM variable for a job of many tasks, and waits for the others.
    cluster = None if is_under_torchrun() else LightningEnvironment()
    return pl.Trainer(
        accelerator="cuda" if cuda else "cpu",
        devices=machine.devices_here,
        num_nodes=machine.world_size // machine.devices_here,
        strategy=ranks if machine.world_size > 1 else "auto",
        precision="bf16-mixed" if machine.precision == "bf16" else "32-true",
        plugins=[checkpoints or Checkpoints(record), *([cluster] if cluster else [])],
        logger=logger or False,
        callbacks=_callbacks(record, machine.signals),
        default_root_dir=record.folder,
        max_epochs=-1,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _callbacks(record: Record, signals: bool) -> list[Callback]:
    """All callbacks of a run, in the order in which they act after an evaluation.

    The clock completes an evaluation before it is recorded, and it is recorded before the checkpoint that follows it. A
    run that is killed in between repeats that evaluation when it is resumed, and the record ignores the repetition.
    """
    checkpoint = Checkpoint(record)
    layers = [LayerSignals(record)] if signals else []
    return [Clock(), Recorder(record), *layers, checkpoint, SignalStop(checkpoint), ProgressBar()]


def _callback(trainer: pl.Trainer, kind: type[C]) -> C:
    return next(callback for callback in trainer.callbacks if isinstance(callback, kind))  # type: ignore[attr-defined]


def summarise(module: TrainingModule, record: Record, trainer: pl.Trainer, results: Results) -> Summary:
    """The last evaluation on record, with the speed and the hours of the whole run, and its results; no tensors."""
    clock = _callback(trainer, Clock)
    last = record.last_evaluation()
    assert last is not None
    return Summary(
        last=replace(last, images_per_second=last.samples / clock.seconds["train"], hours=clock.hours),
        warm_until=module.schedule.warm_until,
        train_hours=clock.seconds["train"] / 3600,
        peak_memory_mb=results.peak_memory_mb,
        parameters=module.parameter_count,
        weights_sha256=results.weights_sha256,
        ended=now(),
        diverged=module.diverged,
    )
