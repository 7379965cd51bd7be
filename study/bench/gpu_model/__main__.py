"""Print the tables of docs/gpu_times.md: python -m study.bench.gpu_model."""

from __future__ import annotations

from study.bench.gpu_model.tables import tables

print(tables())
