"""Which runs are there? From records on disk and runs in W&B to one snapshot; all else is made from the snapshot alone.

gather.py    reads records, names runs, finds duplicates
follow.py    reads again the runs whose records grow
remote.py    reads runs from W&B
probes.py    what `study probe` and `--signals` measured, as tables
collect.py   turns records into tables and says which runs count
snapshot.py  the tables of our runs, and the metrics of each run
public.py    the tables of networks that others published; public_records.py reads what we measured of them
tables.py    the columns of all tables, and packed files
add.py       adds runs to a snapshot that is there
"""
