"""The report in W&B: one run with every figure and table, saved workspaces, and a W&B report that mirrors REPORT.md.

    publish.py     in which order, and where each came to lie
    runs.py        opens a run that trains nothing
    uploads.py     the run of the report: figures, tables, the page, the snapshot
    references.py  the paper's curves as runs
    panels.py      live panels on axes that hold every run, in the report's colours
    workspaces.py  a saved view for each protocol, and one for all
    document.py    REPORT.md as blocks of a W&B report

Written with wandb-workspaces (the extra `publish`).
"""
