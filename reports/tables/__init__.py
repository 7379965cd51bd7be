"""What do the runs say beside the paper's numbers? Every table of the report.

cifar.py     Table 6, and the same shape for other comparisons
imagenet.py  Tables 1 to 5
claims.py    the verdicts
curves.py    how far our curves lie from the paper's
cost.py      hours, speed and memory
probes.py    what `study probe` found
public.py    networks that others published, tested by us
sources.py   others' results, runs, departures, what was not attempted
table.py     a table and how it is written: Markdown, CSV, LaTeX
formats.py   how numbers are written
"""
