"""Compare recorded runs with the paper: its tables, figures and claims, with a verdict on each claim. Imports no torch.

In the order in which a report is made:

    paper/      What does the paper report? Its numbers and curves, and public re-runs by others.
    gathering/  Which runs are there? Records on disk and in W&B, gathered into one snapshot.
    judging/    Which claims hold? Statistics and verdicts.
    tables/     The paper's tables, with ours beside them.
    figures/    The paper's figures, with our curves above.
    page/       Where does each stand? REPORT.md, report.html, README, W&B.
    results/    The committed snapshot and its report.
"""
