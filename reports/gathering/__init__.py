"""Which runs are there? From records on disk and runs in W&B to one snapshot; all else is made from the snapshot alone.

gather.py    reads records, names runs, finds duplicates
remote.py    reads runs from W&B
collect.py   turns records into tables and says which runs count
snapshot.py  the tables, how they are written and read, and the metrics of each run
add.py       adds runs to a snapshot that is there
"""
