"""What is kept of a run: its folder of plain files, and its copy in W&B.

    record = Record(Path("runs"), spec)                          record.py       the folder of a run
    record.open(provenance(spec, machine, mode, fingerprint))    provenance.py   locked; which code, machine and data
    record.append(evaluation.row())                              evaluation.py   a line of metrics.jsonl
    SignalFile(record.folder).append(layers)                     along.py         a line of signals.jsonl
    record.finish(summary.row(), measurements)                   evaluation.py   summary.json, and the run is finished
    runs, unreadable = read_runs(Path("runs"))                   folders.py      what the reports gather

`evaluation.py` is the only place where a metric's name is spelled. `wandb/` copies the record to W&B. `version.py`
tells which code runs, and `bench_lines.py` is the format of the bench's output.
"""
