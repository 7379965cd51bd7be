"""What do the runs look like beside the paper's curves? Every figure of the report, made in two steps.

series.py   the lines of each panel as numbers, without drawing; alternative texts
style.py    colours, dashes, legends; how a figure becomes SVG and PNG
fig1.py, fig4.py, fig6.py, fig7.py  the paper's figures
hours.py    error against cost
probes.py   what `study probe` found
"""
