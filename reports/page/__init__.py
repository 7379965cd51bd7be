"""Where does each table and figure stand? The report as Markdown, HTML, README block and W&B report.

sections.py  which sections, in which order, with which tables and figures
learned.py   the section "What residual learning does"
render.py    the files: REPORT.md, report.html, claims.json, tables/, figures/
readme.py    README's generated block
publish.py   the report and a workspace in W&B
watch.py     rebuilds the report as records grow; serve.py shows it in a browser
exhibits.py  docs/exhibits.md
power.py     docs/power.md
"""
