"""What do the runs look like beside the paper's curves? Every figure of the report, made in two steps.

series.py   the lines of each panel as numbers, without drawing
words.py    a figure's finding in a sentence, and the numbers of its alternative text
palette.py  colours, and the style sheet that they need in a page
panels.py   how a panel is drawn
style.py    how a figure becomes SVG, PNG and PDF, and panels in a page
svg.py      smaller SVG
depth.py    final error against depth, the figure that comes first
fig1.py, fig4.py, fig6.py, fig7.py  the paper's figures
probes.py   gradients and blocks of trained networks, as `study probe` found them
learned.py  what else it found, and what `--signals` saw along the training; deepened.py  copies trained on
maps.py     figures made of pixels: heat maps, points in a plane, small images
"""
