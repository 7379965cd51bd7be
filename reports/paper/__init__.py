"""What does the paper report? Its numbers and curves, and what others got.

numbers.py      tables, networks and claims' bounds as constants; readers of the files below
curves/         Figs. 1, 4, 6 and 7, digitised
peers.csv       public re-runs, with how each differs from the paper
complexity.csv  parameters and multiply-adds, written by `python -m study complexity`
"""
